with
    looks as (select * from {{ ref("int_today_looks") }}),

    amounts as (
        select * from {{ ref("stg_watch_amounts") }} inner join looks using (look_id, organization_id)
    ),

    users as (
        select
            organization_id,
            user_id,
            any_value(email) as email,
            any_value(name) as name,
            sum(amount_cents) as amount_cents,
            sum(list_amount_cents) as list_amount_cents
        from amounts
        where query = 'users'
        group by organization_id, user_id
    ),

    totals as (
        select organization_id, sum(amount_cents) as amount_cents, sum(list_amount_cents) as list_amount_cents
        from amounts
        where query = 'total' and starting_at >= activity_date
        group by organization_id
    ),

    listed as (
        select organization_id, sum(amount_cents) as amount_cents, sum(list_amount_cents) as list_amount_cents
        from users
        group by organization_id
    ),

    others as (
        select
            totals.organization_id,
            totals.amount_cents - coalesce(listed.amount_cents, 0) as amount_cents,
            totals.list_amount_cents - coalesce(listed.list_amount_cents, 0) as list_amount_cents
        from totals
        left join listed using (organization_id)
    ),

    lines as (
        select * replace ({{ user_unless_erased() }} as user_id), {{ attribution_of_user() }} as attribution
        from users
        union all by name
        select *, if(has_all_users, 'unattributed', 'not_listed') as attribution
        from others
        inner join (select organization_id, has_all_users from looks) using (organization_id)
        where amount_cents <> 0 or list_amount_cents <> 0
    )

select
    lines.organization_id,
    looks.activity_date,
    lines.user_id,
    lines.email,
    lines.name,
    lines.attribution,
    cast(lines.amount_cents as decimal(38, 12)) as amount_cents,
    cast(lines.list_amount_cents as decimal(38, 12)) as list_amount_cents,
    {{ cents_to_usd("lines.amount_cents") }} as amount_usd,
    {{ cents_to_usd("lines.list_amount_cents") }} as list_amount_usd,
    looks.data_refreshed_at,
    looks.looked_at,
    looks.look_id,
    looks.finality
from lines
inner join looks using (organization_id)
