with
    days as (
        select *, cast(date_trunc('month', activity_date) as date) as month from {{ ref("int_spend_days") }}
    ),

    numbered as (
        select
            *,
            min(activity_date) over (partition by organization_id, month) as first_date,
            row_number() over (
                partition by organization_id, month, finality = 'incomplete' order by activity_date
            ) as ordinal
        from days
    )

select
    organization_id,
    month,
    max(cast(has_costs as integer)) = 1 as has_costs,
    max(cast(has_usage as integer)) = 1 as has_usage,
    -- a month with a hole is not complete
    case
        when count(*) < max(activity_date) - min(activity_date) + 1
        then 'incomplete'
        else {{ worst_finality() }}
    end as finality,
    min(activity_date) as first_known_date,
    max(
        case when finality <> 'incomplete' and ordinal = activity_date - first_date + 1 then activity_date end
    ) as complete_through
from numbered
group by organization_id, month
