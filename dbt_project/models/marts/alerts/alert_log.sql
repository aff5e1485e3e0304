{{ config(materialized="view") }}

select
    alert_key,
    event,
    organization_id,
    channel,
    status,
    first_seen_at,
    sent_at,
    attempts,
    last_error,
    told_in,
    correction_of,
    severity,
    occurred_on,
    impact_usd,
    title
from {{ source("claude_raw", "alert_log") }}
