with source as ({{ rows_of_current_pulls(source("claude_raw", "artifacts"), "artifacts") }})

select
    pull_id,
    organization_id,
    activity_date,
    artifact_type,
    is_shared,
    distinct_user_count,
    artifacts_created_count,
    published_artifacts_created_count
from source
