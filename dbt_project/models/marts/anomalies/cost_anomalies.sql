{{ config(materialized="view") }}

select *
from {{ ref("int_raised_anomalies") }}
union all by name
-- the running day, as it was seen last; its pull takes its place
select
    organization_id,
    activity_date,
    scope,
    scope_value,
    metric,
    kind,
    1 as window_days,
    actual,
    expected,
    low,
    high,
    score,
    impact_usd,
    direction,
    incident_id,
    activity_date as incident_start,
    activity_date as incident_end,
    reason,
    status,
    finality
from {{ ref("runaways_today") }}
