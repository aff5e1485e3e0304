with
    days as (
        select *, cast(date_trunc('month', activity_date) as date) as month
        from {{ ref("int_engagement_days") }}
    ),

    months as (
        select
            organization_id,
            month,
            cast(month + interval 1 month as date) - month as day_count,
            count(*) as known_day_count,
            min(activity_date) as first_known_date,
            max(activity_date) as last_known_date,
            {{ worst_finality() }} as finality
        from days
        group by organization_id, month
    ),

    with_completeness as (select *, known_day_count = day_count as is_complete from months)

select
    with_completeness.organization_id,
    with_completeness.month,
    with_completeness.day_count,
    with_completeness.known_day_count,
    with_completeness.first_known_date,
    with_completeness.last_known_date,
    with_completeness.is_complete,
    -- this month and the two before
    with_completeness.is_complete and count(earlier.month) = 2 as is_lookback_complete,
    case when with_completeness.is_complete then with_completeness.finality else 'incomplete' end as finality
from with_completeness
left join
    with_completeness as earlier
    on with_completeness.organization_id = earlier.organization_id
    and earlier.month >= with_completeness.month - interval 2 month
    and earlier.month < with_completeness.month
    and earlier.is_complete
group by
    with_completeness.organization_id,
    with_completeness.month,
    with_completeness.day_count,
    with_completeness.known_day_count,
    with_completeness.first_known_date,
    with_completeness.last_known_date,
    with_completeness.is_complete,
    with_completeness.finality
