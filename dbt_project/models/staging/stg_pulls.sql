with source as (select * from {{ source("claude_raw", "pulls") }})

select pull_id, endpoint, organization_id, pull_sequence, status, fetched_at, window_start, window_end
from source
