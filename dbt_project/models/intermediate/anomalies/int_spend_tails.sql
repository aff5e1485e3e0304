{{ config(materialized="ephemeral") }}

with
    days as (
        select
            organization_id,
            scope,
            metric,
            day_number,
            count(*) as row_count,
            {{ far_deviation("log_own", "mean_before", "deviation_before") }} as deviation_99
        from {{ ref("int_spend_windows") }}
        where days_before >= 10
        group by organization_id, scope, metric, day_number
    )

select
    organization_id,
    scope,
    metric,
    day_number,
    {{ tail("sum(row_count * deviation_99) over before / sum(row_count) over before") }} as tail
from days
window
    before as (
        partition by organization_id, scope, metric
        order by day_number
        range between 56 preceding and 1 preceding
    )
