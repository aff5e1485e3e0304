with
    lines as (
        select
            organization_id,
            activity_date,
            valid_from,
            valid_to,
            {{ user_unless_erased() }} as user_id,
            {{ attribution_of_user() }} as attribution,
            true as is_placed,
            'key' as reported_grain,
            {{ cost_dimensions() }},
            amount_cents,
            list_amount_cents
        from {{ ref("int_user_cost_lines") }}
        union all
        select
            organization_id,
            activity_date,
            valid_from,
            valid_to,
            cast(null as varchar) as user_id,
            'unattributed' as attribution,
            is_placed,
            reported_grain,
            {{ cost_dimensions() }},
            amount_cents,
            list_amount_cents
        from {{ ref("int_unattributed_cost_lines") }}
    )

select
    lines.*,
    {{ cents_to_usd("lines.amount_cents") }} as amount_usd,
    {{ cents_to_usd("lines.list_amount_cents") }} as list_amount_usd,
    -- landing refuses any other
    'USD' as currency,
    days.finality,
    case when lines.attribution = 'unattributed' then days.total_pull_id else days.user_pull_id end as pull_id
from lines
inner join
    {{ ref("int_cost_day_versions") }} as days
    on lines.organization_id = days.organization_id
    and lines.activity_date = days.activity_date
    and lines.valid_from = days.valid_from
