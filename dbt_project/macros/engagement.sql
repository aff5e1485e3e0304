{#-
    What several engagement models must agree on: surfaces, what makes a day final, who is a power user, segments.
-#}
{#- Endpoints that are always asked; those in `optional_engagement_endpoints` only where the settings switch them on. -#}
{% macro engagement_endpoints() -%}
    {{- return(["summaries", "users", "chat_projects", "skills", "connectors"]) -}}
{%- endmacro %}

{% macro optional_engagement_endpoints() -%} {{- return(["plugins", "artifacts"]) -}} {%- endmacro %}

{#- Days after which the figures of a day move no more: the same number as ENGAGEMENT_SETTLE_DAYS of the ledger. -#}
{% macro engagement_settle_days() -%} 4 {%- endmacro %}

{#- A day that is not there after so many days is missing, whatever the API answers: as in the command `status`. -#}
{% macro engagement_latest_lag_days() -%} 5 {%- endmacro %}

{#-
    Engagement answers carry no freshness stamp: a day is whole when it appears, and settled some days later. Compares
    the pull's own moment with the day, so a stored row never becomes final without anybody having looked again.
-#}
{% macro engagement_finality(fetched_at="fetched_at", activity_date="activity_date") -%}
    case
        when {{ fetched_at }} < {{ activity_date }} + interval 1 day
        then 'incomplete'
        when {{ fetched_at }} < {{ activity_date }} + interval {{ 1 + engagement_settle_days() | int }} day
        then 'provisional'
        else 'final'
    end
{%- endmacro %}

{#- The newest complete pull of each day of one endpoint. -#}
{% macro engagement_pulls(endpoint) -%}
    select
        pull_id,
        organization_id,
        activity_date,
        fetched_at,
        pull_sequence,
        {{ engagement_finality() }} as finality
    from {{ ref("stg_current_pulls") }}
    where endpoint = '{{ endpoint }}'
{%- endmacro %}

{#- Surface to its counters in stg_users, in the order of the columns. `web_search_count` belongs to no surface. -#}
{% macro user_counters() -%}
    {%- set chat = [
        "connectors_used_count",
        "distinct_artifacts_created_count",
        "distinct_connectors_used_count",
        "distinct_conversation_count",
        "distinct_files_uploaded_count",
        "distinct_projects_created_count",
        "distinct_projects_used_count",
        "distinct_shared_artifacts_viewed_count",
        "distinct_skills_used_count",
        "message_count",
        "shared_conversations_viewed_count",
        "thinking_message_count",
    ] -%}
    {%- set claude_code = [
        "artifacts_created_count",
        "commit_count",
        "distinct_session_count",
        "lines_of_code_added_count",
        "lines_of_code_removed_count",
        "pull_request_count",
    ] -%}
    {%- for tool in edit_tools() -%}
        {%- do claude_code.extend([tool ~ "_accepted_count", tool ~ "_rejected_count"]) -%}
    {%- endfor -%}
    {%- set cowork = [
        "action_count",
        "artifacts_created_count",
        "connectors_used_count",
        "dispatch_turn_count",
        "distinct_connectors_used_count",
        "distinct_plugins_used_count",
        "distinct_session_count",
        "distinct_skills_used_count",
        "edit_tool_count",
        "file_edit_count",
        "message_count",
        "multi_edit_tool_count",
        "notebook_edit_tool_count",
        "plugins_used_count",
        "sessions_with_file_edits_count",
        "skills_used_count",
        "write_tool_count",
    ] -%}
    {%- set office = [
        "connectors_used_count",
        "distinct_connectors_used_count",
        "distinct_session_count",
        "distinct_skills_used_count",
        "message_count",
        "skills_used_count",
    ] -%}
    {%- set design = [
        "distinct_projects_created_count",
        "distinct_projects_used_count",
        "distinct_session_count",
        "message_count",
    ] -%}
    {%- set science = [
        "delegation_count",
        "distinct_session_count",
        "message_count",
        "remote_compute_job_count",
        "skills_used_count",
    ] -%}
    {%- set blocks = {
        "chat": chat,
        "claude_code": claude_code,
        "cowork": cowork,
        "office_excel": office,
        "office_outlook": office,
        "office_powerpoint": office,
        "office_word": office,
        "design": design,
        "science": science,
        "chat_cowork_unified_chat": chat,
        "chat_cowork_unified_sessions": cowork,
        "claude_tag": ["active_day_count", "active_message_count"],
    } -%}
    {%- set counters = {} -%}
    {%- for block, names in blocks.items() -%}
        {%- set columns = [] -%}
        {%- for name in names -%} {%- do columns.append(block ~ "_" ~ name) -%} {%- endfor -%}
        {%- do counters.update({block: columns}) -%}
    {%- endfor -%}
    {{- return(counters) -}}
{%- endmacro %}

{% macro edit_tools() -%}
    {{- return(["edit_tool", "multi_edit_tool", "notebook_edit_tool", "write_tool"]) -}}
{%- endmacro %}

{#- Surface to the blocks it is made of. -#}
{% macro surfaces() -%}
    {{-
        return(
            {
                "chat": ["chat"],
                "claude_code": ["claude_code"],
                "cowork": ["cowork"],
                "office": ["office_excel", "office_outlook", "office_powerpoint", "office_word"],
                "design": ["design"],
                "science": ["science"],
                "chat_cowork_unified": ["chat_cowork_unified_chat", "chat_cowork_unified_sessions"],
                "claude_tag": ["claude_tag"],
            }
        )
    -}}
{%- endmacro %}

{#- True when any of the counters is above zero, null when none of them is reported. -#}
{% macro is_any_counted(columns) -%}
    case
        when
            {% for column in columns %}
                coalesce({{ column }}, 0) > 0 {{ "or " if not loop.last }}
            {% endfor %}
        then true
        when coalesce({{ columns | join(", ") }}) is not null
        then false
    end
{%- endmacro %}

{#- Active on at least so many days of the month, or of the last 30 days. The docs block `power_user` describes it. -#}
{% macro power_user_days() -%} 12 {%- endmacro %}

{#-
    The one definition of a user's segment in a month; the docs block `segment` describes it. Columns:
    is_complete, is_lookback_complete (this month and the two before are known whole), active_day_count,
    is_first_month, has_history_before (30 days before the first activity are known), last_known_activity_date, month.
-#}
{% macro adoption_segment() -%}
    case
        when not is_complete
        then null
        when active_day_count > 0 and is_first_month and has_history_before
        then 'new'
        when active_day_count >= {{ power_user_days() }}
        then 'power'
        when active_day_count > 0
        then 'regular'
        when last_known_activity_date >= month - interval 2 month
        then 'dormant'
        when is_lookback_complete
        then 'churned'
    end
{%- endmacro %}

{#- At least 0, but null where it is null: greatest(null, 0) is 0 in DuckDB. -#}
{% macro not_below_zero(expression) -%}
    case when {{ expression }} < 0 then 0 else {{ expression }} end
{%- endmacro %}
