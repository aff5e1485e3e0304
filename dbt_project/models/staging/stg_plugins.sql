with source as ({{ rows_of_current_pulls(source("claude_raw", "plugins"), "plugins") }})

select
    pull_id,
    organization_id,
    activity_date,
    plugin_name,
    plugin_id,
    distinct_user_count,
    install_count,
    invocation_count,
    claude_code_metrics.distinct_session_plugin_used_count as claude_code_distinct_session_count,
    cowork_metrics.distinct_session_plugin_used_count as cowork_distinct_session_count,
    chat_cowork_unified_metrics.distinct_session_plugin_used_count
    as chat_cowork_unified_distinct_session_count
from source
