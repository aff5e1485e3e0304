with
    skills as (select * from {{ ref("stg_skills") }}),

    pulls as ({{ engagement_pulls("skills") }}),

    dated as (
        select
            skills.*,
            pulls.finality,
            {% for column in ["skill_display_name", "share_status"] %}
                first_value({{ column }}) over (
                    partition by skills.organization_id, skills.skill_name
                    order by {{ column }} is null, pulls.pull_sequence desc, skills.activity_date desc
                ) as latest_{{ column }}{{ "," if not loop.last }}
            {% endfor %}
        from skills
        inner join
            pulls
            on skills.organization_id = pulls.organization_id
            and skills.activity_date = pulls.activity_date
            and skills.pull_id = pulls.pull_id
    )

select
    organization_id,
    activity_date,
    skill_name,
    skill_display_name,
    latest_skill_display_name,
    share_status,
    latest_share_status,
    distinct_user_count,
    enable_count,
    invocation_count,
    chat_distinct_conversation_count,
    claude_code_distinct_session_count,
    cowork_distinct_session_count,
    office_excel_distinct_session_count,
    office_outlook_distinct_session_count,
    office_powerpoint_distinct_session_count,
    office_word_distinct_session_count,
    chat_cowork_unified_chat_distinct_conversation_count,
    chat_cowork_unified_sessions_distinct_session_count,
    attributed_list_price_cents,
    {{ cents_to_usd("attributed_list_price_cents") }} as attributed_list_price_usd,
    estimated_overage_spend_cents,
    {{ cents_to_usd("estimated_overage_spend_cents") }} as estimated_overage_spend_usd,
    finality,
    pull_id
from dated
