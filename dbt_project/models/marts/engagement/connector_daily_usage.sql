with
    connectors as (select * from {{ ref("stg_connectors") }}),

    pulls as ({{ engagement_pulls("connectors") }}),

    dated as (
        select
            connectors.*,
            pulls.finality,
            first_value(connector_display_name) over (
                partition by connectors.organization_id, connectors.connector_name
                order by
                    connector_display_name is null, pulls.pull_sequence desc, connectors.activity_date desc
            ) as latest_connector_display_name
        from connectors
        inner join
            pulls
            on connectors.organization_id = pulls.organization_id
            and connectors.activity_date = pulls.activity_date
            and connectors.pull_id = pulls.pull_id
    )

select
    organization_id,
    activity_date,
    connector_name,
    connector_display_name,
    latest_connector_display_name,
    distinct_user_count,
    individual_auth_distinct_user_count,
    managed_auth_distinct_user_count,
    read_call_count,
    write_call_count,
    unclassified_call_count,
    -- null as soon as one kind is not reported
    read_call_count + write_call_count + unclassified_call_count as call_count,
    chat_distinct_conversation_count,
    claude_code_distinct_session_count,
    cowork_distinct_session_count,
    office_excel_distinct_session_count,
    office_outlook_distinct_session_count,
    office_powerpoint_distinct_session_count,
    office_word_distinct_session_count,
    chat_cowork_unified_chat_distinct_conversation_count,
    chat_cowork_unified_sessions_distinct_session_count,
    finality,
    pull_id
from dated
