-- every complete pull, current or not: a creator whose account is gone is named by older answers only
with source as (select * from {{ source("claude_raw", "chat_projects") }})

select pull_id, organization_id, activity_date, project_id, project_name, created_by.id as created_by_user_id
from source
