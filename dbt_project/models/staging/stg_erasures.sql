with source as (select * from {{ source("claude_raw", "erasures") }})

select
    erasure_id,
    organization_id,
    kind,
    subject_hash,
    place,
    item_count,
    requested_at,
    requested_by,
    applied_at,
    erased_at,
    run_id
from source
