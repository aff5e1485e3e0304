select
    organization_id,
    activity_date,
    user_id,
    {% for surface in surfaces() %} is_{{ surface }}_active, {% endfor %}
    message_count,
    chat_message_count,
    cowork_message_count,
    office_excel_message_count
    + office_outlook_message_count
    + office_powerpoint_message_count
    + office_word_message_count as office_message_count,
    design_message_count,
    chat_cowork_unified_chat_message_count
    + chat_cowork_unified_sessions_message_count as chat_cowork_unified_message_count,
    -- a session belongs to one user and, by the API's definition, to one UTC day: the one distinct count
    -- that may be
    -- added
    claude_code_distinct_session_count as claude_code_session_count,
    claude_code_commit_count as commit_count,
    claude_code_pull_request_count as pull_request_count,
    claude_code_lines_of_code_added_count as accepted_line_count,
    built_through_sequence
from {{ ref("user_daily_engagement") }}
