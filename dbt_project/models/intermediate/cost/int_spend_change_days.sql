with
    days as (
        select
            costs.organization_id,
            costs.activity_date,
            cast(date_trunc('month', costs.activity_date) as date) as month,
            coalesce(usage.finality, 'incomplete') <> 'incomplete' as has_tokens,
            costs.finality
        from {{ ref("int_cost_days") }} as costs
        left join
            {{ ref("int_usage_days") }} as usage
            on costs.organization_id = usage.organization_id
            and costs.activity_date = usage.activity_date
        where costs.finality <> 'incomplete'
    ),

    -- a day is compared with the month before, and the month after is compared with it
    sides as (
        select organization_id, month, 'current' as side, activity_date, has_tokens, finality
        from days
        union all
        select
            organization_id,
            cast(month + interval 1 month as date) as month,
            'previous' as side,
            activity_date,
            has_tokens,
            finality
        from days
    ),

    paired as (
        select
            *,
            count(*) over same_day as same_day_count,
            bool_and(has_tokens) over same_day as has_tokens_on_both,
            count(*) over (partition by organization_id, month)
            = cast(month + interval 1 month as date) - cast(month - interval 1 month as date) as is_whole
        from sides
        window same_day as (partition by organization_id, month, day(activity_date))
    )

select
    organization_id,
    month,
    side,
    activity_date,
    case when is_whole then 'whole_months' else 'same_days' end as comparison,
    has_tokens_on_both as has_tokens,
    finality
from paired
where is_whole or same_day_count = 2
