{{ config(materialized="ephemeral") }}

with
    compared as (
        select *, count(*) over before as days_before, log_amount - avg(log_amount) over before as shift
        from {{ ref("int_active_spend") }}
        window
            before as (
                partition by organization_id, scope, scope_value, metric
                order by day_number
                range between 56 preceding and 1 preceding
            )
    )

select organization_id, scope, peer_group, metric, day_number, {{ common_shift("shift") }} as common_shift
from compared
where days_before >= 10
group by organization_id, scope, peer_group, metric, day_number
