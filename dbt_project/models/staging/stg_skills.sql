with source as ({{ rows_of_current_pulls(source("claude_raw", "skills"), "skills") }})

select
    pull_id,
    organization_id,
    activity_date,
    skill_name,
    skill_display_name,
    share_status,
    distinct_user_count,
    enable_count,
    invocation_count,
    chat_metrics.distinct_conversation_skill_used_count as chat_distinct_conversation_count,
    claude_code_metrics.distinct_session_skill_used_count as claude_code_distinct_session_count,
    cowork_metrics.distinct_session_skill_used_count as cowork_distinct_session_count,
    office_metrics.excel.distinct_session_skill_used_count as office_excel_distinct_session_count,
    office_metrics.outlook.distinct_session_skill_used_count as office_outlook_distinct_session_count,
    office_metrics.powerpoint.distinct_session_skill_used_count as office_powerpoint_distinct_session_count,
    office_metrics.word.distinct_session_skill_used_count as office_word_distinct_session_count,
    chat_cowork_unified_metrics.chat.distinct_conversation_skill_used_count
    as chat_cowork_unified_chat_distinct_conversation_count,
    chat_cowork_unified_metrics.sessions.distinct_session_skill_used_count
    as chat_cowork_unified_sessions_distinct_session_count,
    -- estimates of an allocation: never part of a cost
    attributed_list_price as attributed_list_price_cents,
    estimated_overage_spend as estimated_overage_spend_cents,
    coalesce(currency, 'USD') as currency
from source
