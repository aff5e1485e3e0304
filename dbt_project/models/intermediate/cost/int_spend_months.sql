with
    days as (
        select *, cast(date_trunc('month', activity_date) as date) as month from {{ ref("int_spend_days") }}
    ),

    numbered as (
        select
            *,
            row_number() over (
                partition by organization_id, month, finality = 'incomplete' order by activity_date
            ) as ordinal
        from days
    ),

    months as (
        select
            organization_id,
            month,
            max(cast(has_costs as integer)) = 1 as has_costs,
            max(cast(has_usage as integer)) = 1 as has_usage,
            cast(month + interval 1 month as date) - month as day_count,
            count(case when finality <> 'incomplete' then 1 end) as known_day_count,
            {{ worst_finality() }} as finality,
            min(activity_date) as first_known_date,
            max(
                case
                    when finality <> 'incomplete' and ordinal = activity_date - month + 1 then activity_date
                end
            ) as complete_through
        from numbered
        group by organization_id, month
    )

select
    organization_id,
    month,
    has_costs,
    has_usage,
    day_count,
    known_day_count,
    known_day_count = day_count as is_complete,
    case when known_day_count = day_count then finality else 'incomplete' end as finality,
    first_known_date,
    complete_through
from months
