with
    totals as (select * from {{ ref("int_hourly_totals") }}),

    details as (
        select
            looks.organization_id,
            amounts.starting_at as hour,
            amounts.product,
            amounts.model,
            amounts.amount_cents,
            amounts.list_amount_cents
        from {{ ref("stg_watch_amounts") }} as amounts
        inner join {{ ref("stg_watch_looks") }} as looks using (look_id)
        where amounts.query = 'hours' and looks.status = 'complete'
        qualify
            rank() over (
                partition by looks.organization_id, amounts.starting_at order by looks.look_sequence desc
            )
            = 1
    ),

    -- what the newest total has beyond the newest detail: the cap of groups, or a detail that was not asked
    -- for since
    remainders as (
        select
            totals.organization_id,
            totals.hour,
            any_value(totals.amount_cents) - coalesce(sum(details.amount_cents), 0) as amount_cents,
            any_value(totals.list_amount_cents)
            - coalesce(sum(details.list_amount_cents), 0) as list_amount_cents
        from totals
        left join details using (organization_id, hour)
        group by totals.organization_id, totals.hour
    ),

    lines as (
        select details.*, false as is_remainder
        from details
        semi join totals using (organization_id, hour)
        union all by name
        select *, true as is_remainder
        from remainders
        where amount_cents <> 0 or list_amount_cents <> 0
    )

select
    lines.organization_id,
    cast(lines.hour as date) as activity_date,
    lines.hour,
    lines.product,
    lines.model,
    lines.is_remainder,
    cast(lines.amount_cents as decimal(38, 12)) as amount_cents,
    cast(lines.list_amount_cents as decimal(38, 12)) as list_amount_cents,
    {{ cents_to_usd("lines.amount_cents") }} as amount_usd,
    {{ cents_to_usd("lines.list_amount_cents") }} as list_amount_usd,
    if(totals.seen_through < lines.hour + interval 1 hour, 'incomplete', 'provisional') as finality
from lines
inner join totals using (organization_id, hour)
