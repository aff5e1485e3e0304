{{ config(materialized="ephemeral") }}

with
    days as (
        select
            organization_id,
            scope,
            metric,
            day_number,
            count(*) as row_count,
            quantile_cont((log_own - mean_before) / greatest(deviation_before, 0.3), 0.99) as deviation_99
        from {{ ref("int_spend_windows") }}
        where days_before >= 10
        group by organization_id, scope, metric, day_number
    )

select
    organization_id,
    scope,
    metric,
    day_number,
    -- a normal distribution has its 99th percentile at 2.326
    greatest(
        1, coalesce(sum(row_count * deviation_99) over before / sum(row_count) over before / 2.326, 1)
    ) as tail
from days
window
    before as (
        partition by organization_id, scope, metric
        order by day_number
        range between 56 preceding and 1 preceding
    )
