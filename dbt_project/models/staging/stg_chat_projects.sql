with source as ({{ rows_of_current_pulls(source("claude_raw", "chat_projects"), "chat_projects") }})

select
    pull_id,
    organization_id,
    activity_date,
    project_id,
    project_name,
    distinct_user_count,
    distinct_conversation_count,
    message_count,
    try_cast(created_at as timestamp) as created_at,
    created_by.id as created_by_user_id,
    coalesce(created_by.email_address, created_by.email) as created_by_email
from source
