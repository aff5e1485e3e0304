with
    days as (
        select
            organization_id,
            activity_date,
            median(logarithm) filter (where days_ago <= 28) as median_log,
            count(*) filter (where level_days >= 10) as row_count,
            {{ far_deviation("logarithm", "mean_before", "deviation_before") }} filter (
                where level_days >= 10
            ) as deviation_99
        from {{ ref("int_today_history") }}
        inner join {{ ref("int_today_levels") }} using (organization_id, user_id)
        group by organization_id, activity_date
    )

select
    organization_id,
    median(median_log) as peer_level,
    {{ tail("sum(row_count * deviation_99) / nullif(sum(row_count), 0)") }} as tail
from days
group by organization_id
