with source as (select * from {{ source("claude_raw", "deletions") }})

select organization_id, endpoint, deleted_before, first_day, pull_count, row_count, deleted_at, erased_at, run_id
from source
