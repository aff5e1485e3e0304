with source as (select * from {{ source("claude_raw", "organizations") }})

select organization_id, name, plan, revision_days
from source
