with source as ({{ rows_of_current_pulls(source("claude_raw", "users"), "users") }})

select
    pull_id,
    organization_id,
    activity_date,
    "user".id as user_id,
    coalesce("user".email_address, "user".email) as email,
    chat_metrics.connectors_used_count as chat_connectors_used_count,
    chat_metrics.distinct_artifacts_created_count as chat_distinct_artifacts_created_count,
    chat_metrics.distinct_connectors_used_count as chat_distinct_connectors_used_count,
    chat_metrics.distinct_conversation_count as chat_distinct_conversation_count,
    chat_metrics.distinct_files_uploaded_count as chat_distinct_files_uploaded_count,
    chat_metrics.distinct_projects_created_count as chat_distinct_projects_created_count,
    chat_metrics.distinct_projects_used_count as chat_distinct_projects_used_count,
    chat_metrics.distinct_shared_artifacts_viewed_count as chat_distinct_shared_artifacts_viewed_count,
    chat_metrics.distinct_skills_used_count as chat_distinct_skills_used_count,
    chat_metrics.message_count as chat_message_count,
    chat_metrics.shared_conversations_viewed_count as chat_shared_conversations_viewed_count,
    chat_metrics.thinking_message_count as chat_thinking_message_count,
    claude_code_metrics.core_metrics.artifacts_created_count as claude_code_artifacts_created_count,
    claude_code_metrics.core_metrics.commit_count as claude_code_commit_count,
    claude_code_metrics.core_metrics.distinct_session_count as claude_code_distinct_session_count,
    claude_code_metrics.core_metrics.lines_of_code.added_count as claude_code_lines_of_code_added_count,
    claude_code_metrics.core_metrics.lines_of_code.removed_count as claude_code_lines_of_code_removed_count,
    claude_code_metrics.core_metrics.pull_request_count as claude_code_pull_request_count,
    claude_code_metrics.tool_actions.edit_tool.accepted_count as claude_code_edit_tool_accepted_count,
    claude_code_metrics.tool_actions.edit_tool.rejected_count as claude_code_edit_tool_rejected_count,
    claude_code_metrics.tool_actions.multi_edit_tool.accepted_count
    as claude_code_multi_edit_tool_accepted_count,
    claude_code_metrics.tool_actions.multi_edit_tool.rejected_count
    as claude_code_multi_edit_tool_rejected_count,
    claude_code_metrics.tool_actions.notebook_edit_tool.accepted_count
    as claude_code_notebook_edit_tool_accepted_count,
    claude_code_metrics.tool_actions.notebook_edit_tool.rejected_count
    as claude_code_notebook_edit_tool_rejected_count,
    claude_code_metrics.tool_actions.write_tool.accepted_count as claude_code_write_tool_accepted_count,
    claude_code_metrics.tool_actions.write_tool.rejected_count as claude_code_write_tool_rejected_count,
    cowork_metrics.action_count as cowork_action_count,
    cowork_metrics.artifacts_created_count as cowork_artifacts_created_count,
    cowork_metrics.connectors_used_count as cowork_connectors_used_count,
    cowork_metrics.dispatch_turn_count as cowork_dispatch_turn_count,
    cowork_metrics.distinct_connectors_used_count as cowork_distinct_connectors_used_count,
    cowork_metrics.distinct_plugins_used_count as cowork_distinct_plugins_used_count,
    cowork_metrics.distinct_session_count as cowork_distinct_session_count,
    cowork_metrics.distinct_skills_used_count as cowork_distinct_skills_used_count,
    cowork_metrics.edit_tool_count as cowork_edit_tool_count,
    cowork_metrics.file_edit_count as cowork_file_edit_count,
    cowork_metrics.message_count as cowork_message_count,
    cowork_metrics.multi_edit_tool_count as cowork_multi_edit_tool_count,
    cowork_metrics.notebook_edit_tool_count as cowork_notebook_edit_tool_count,
    cowork_metrics.plugins_used_count as cowork_plugins_used_count,
    cowork_metrics.sessions_with_file_edits_count as cowork_sessions_with_file_edits_count,
    cowork_metrics.skills_used_count as cowork_skills_used_count,
    cowork_metrics.write_tool_count as cowork_write_tool_count,
    office_metrics.excel.connectors_used_count as office_excel_connectors_used_count,
    office_metrics.excel.distinct_connectors_used_count as office_excel_distinct_connectors_used_count,
    office_metrics.excel.distinct_session_count as office_excel_distinct_session_count,
    office_metrics.excel.distinct_skills_used_count as office_excel_distinct_skills_used_count,
    office_metrics.excel.message_count as office_excel_message_count,
    office_metrics.excel.skills_used_count as office_excel_skills_used_count,
    office_metrics.outlook.connectors_used_count as office_outlook_connectors_used_count,
    office_metrics.outlook.distinct_connectors_used_count as office_outlook_distinct_connectors_used_count,
    office_metrics.outlook.distinct_session_count as office_outlook_distinct_session_count,
    office_metrics.outlook.distinct_skills_used_count as office_outlook_distinct_skills_used_count,
    office_metrics.outlook.message_count as office_outlook_message_count,
    office_metrics.outlook.skills_used_count as office_outlook_skills_used_count,
    office_metrics.powerpoint.connectors_used_count as office_powerpoint_connectors_used_count,
    office_metrics.powerpoint.distinct_connectors_used_count
    as office_powerpoint_distinct_connectors_used_count,
    office_metrics.powerpoint.distinct_session_count as office_powerpoint_distinct_session_count,
    office_metrics.powerpoint.distinct_skills_used_count as office_powerpoint_distinct_skills_used_count,
    office_metrics.powerpoint.message_count as office_powerpoint_message_count,
    office_metrics.powerpoint.skills_used_count as office_powerpoint_skills_used_count,
    office_metrics.word.connectors_used_count as office_word_connectors_used_count,
    office_metrics.word.distinct_connectors_used_count as office_word_distinct_connectors_used_count,
    office_metrics.word.distinct_session_count as office_word_distinct_session_count,
    office_metrics.word.distinct_skills_used_count as office_word_distinct_skills_used_count,
    office_metrics.word.message_count as office_word_message_count,
    office_metrics.word.skills_used_count as office_word_skills_used_count,
    design_metrics.distinct_projects_created_count as design_distinct_projects_created_count,
    design_metrics.distinct_projects_used_count as design_distinct_projects_used_count,
    design_metrics.distinct_session_count as design_distinct_session_count,
    design_metrics.message_count as design_message_count,
    science_metrics.delegation_count as science_delegation_count,
    science_metrics.distinct_session_count as science_distinct_session_count,
    science_metrics.message_count as science_message_count,
    science_metrics.remote_compute_job_count as science_remote_compute_job_count,
    science_metrics.skills_used_count as science_skills_used_count,
    chat_cowork_unified_metrics.chat.connectors_used_count as chat_cowork_unified_chat_connectors_used_count,
    chat_cowork_unified_metrics.chat.distinct_artifacts_created_count
    as chat_cowork_unified_chat_distinct_artifacts_created_count,
    chat_cowork_unified_metrics.chat.distinct_connectors_used_count
    as chat_cowork_unified_chat_distinct_connectors_used_count,
    chat_cowork_unified_metrics.chat.distinct_conversation_count
    as chat_cowork_unified_chat_distinct_conversation_count,
    chat_cowork_unified_metrics.chat.distinct_files_uploaded_count
    as chat_cowork_unified_chat_distinct_files_uploaded_count,
    chat_cowork_unified_metrics.chat.distinct_projects_created_count
    as chat_cowork_unified_chat_distinct_projects_created_count,
    chat_cowork_unified_metrics.chat.distinct_projects_used_count
    as chat_cowork_unified_chat_distinct_projects_used_count,
    chat_cowork_unified_metrics.chat.distinct_shared_artifacts_viewed_count
    as chat_cowork_unified_chat_distinct_shared_artifacts_viewed_count,
    chat_cowork_unified_metrics.chat.distinct_skills_used_count
    as chat_cowork_unified_chat_distinct_skills_used_count,
    chat_cowork_unified_metrics.chat.message_count as chat_cowork_unified_chat_message_count,
    chat_cowork_unified_metrics.chat.shared_conversations_viewed_count
    as chat_cowork_unified_chat_shared_conversations_viewed_count,
    chat_cowork_unified_metrics.chat.thinking_message_count
    as chat_cowork_unified_chat_thinking_message_count,
    chat_cowork_unified_metrics.sessions.action_count as chat_cowork_unified_sessions_action_count,
    chat_cowork_unified_metrics.sessions.artifacts_created_count
    as chat_cowork_unified_sessions_artifacts_created_count,
    chat_cowork_unified_metrics.sessions.connectors_used_count
    as chat_cowork_unified_sessions_connectors_used_count,
    chat_cowork_unified_metrics.sessions.dispatch_turn_count
    as chat_cowork_unified_sessions_dispatch_turn_count,
    chat_cowork_unified_metrics.sessions.distinct_connectors_used_count
    as chat_cowork_unified_sessions_distinct_connectors_used_count,
    chat_cowork_unified_metrics.sessions.distinct_plugins_used_count
    as chat_cowork_unified_sessions_distinct_plugins_used_count,
    chat_cowork_unified_metrics.sessions.distinct_session_count
    as chat_cowork_unified_sessions_distinct_session_count,
    chat_cowork_unified_metrics.sessions.distinct_skills_used_count
    as chat_cowork_unified_sessions_distinct_skills_used_count,
    chat_cowork_unified_metrics.sessions.edit_tool_count as chat_cowork_unified_sessions_edit_tool_count,
    chat_cowork_unified_metrics.sessions.file_edit_count as chat_cowork_unified_sessions_file_edit_count,
    chat_cowork_unified_metrics.sessions.message_count as chat_cowork_unified_sessions_message_count,
    chat_cowork_unified_metrics.sessions.multi_edit_tool_count
    as chat_cowork_unified_sessions_multi_edit_tool_count,
    chat_cowork_unified_metrics.sessions.notebook_edit_tool_count
    as chat_cowork_unified_sessions_notebook_edit_tool_count,
    chat_cowork_unified_metrics.sessions.plugins_used_count
    as chat_cowork_unified_sessions_plugins_used_count,
    chat_cowork_unified_metrics.sessions.sessions_with_file_edits_count
    as chat_cowork_unified_sessions_sessions_with_file_edits_count,
    chat_cowork_unified_metrics.sessions.skills_used_count as chat_cowork_unified_sessions_skills_used_count,
    chat_cowork_unified_metrics.sessions.write_tool_count as chat_cowork_unified_sessions_write_tool_count,
    claude_tag_metrics.active_day_count as claude_tag_active_day_count,
    claude_tag_metrics.active_message_count as claude_tag_active_message_count,
    web_search_count,
    try_cast(last_activity_date as date) as last_activity_date
from source
