with source as (select * from {{ source("claude_raw", "pulls") }})

select
    pull_id,
    endpoint,
    organization_id,
    pull_sequence,
    status,
    fetched_at,
    window_start,
    window_end,
    row_count,
    error_type,
    error_message,
    request_id,
    run_id,
    latest_available_day
from source
