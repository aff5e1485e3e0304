{{ config(materialized="ephemeral") }}

with
    days as (
        select organization_id, scope, peer_group, metric, day_number, median(log_own) as median_log
        from {{ ref("int_own_spend") }}
        group by organization_id, scope, peer_group, metric, day_number
    )

select
    organization_id,
    scope,
    peer_group,
    metric,
    day_number,
    -- on the first day of a history, the day itself is all there is
    coalesce(
        median(median_log) over (
            partition by organization_id, scope, peer_group, metric
            order by day_number
            range between 28 preceding and 1 preceding
        ),
        median_log
    ) as peer_level
from days
