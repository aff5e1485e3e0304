with source as ({{ rows_of_current_pulls(source("claude_raw", "connectors"), "connectors") }})

select
    pull_id,
    organization_id,
    activity_date,
    connector_name,
    connector_display_name,
    distinct_user_count,
    individual_auth_distinct_user_count,
    managed_auth_distinct_user_count,
    read_call_count,
    write_call_count,
    unclassified_call_count,
    chat_metrics.distinct_conversation_connector_used_count as chat_distinct_conversation_count,
    claude_code_metrics.distinct_session_connector_used_count as claude_code_distinct_session_count,
    cowork_metrics.distinct_session_connector_used_count as cowork_distinct_session_count,
    office_metrics.excel.distinct_session_connector_used_count as office_excel_distinct_session_count,
    office_metrics.outlook.distinct_session_connector_used_count as office_outlook_distinct_session_count,
    office_metrics.powerpoint.distinct_session_connector_used_count
    as office_powerpoint_distinct_session_count,
    office_metrics.word.distinct_session_connector_used_count as office_word_distinct_session_count,
    chat_cowork_unified_metrics.chat.distinct_conversation_connector_used_count
    as chat_cowork_unified_chat_distinct_conversation_count,
    chat_cowork_unified_metrics.sessions.distinct_session_connector_used_count
    as chat_cowork_unified_sessions_distinct_session_count
from source
