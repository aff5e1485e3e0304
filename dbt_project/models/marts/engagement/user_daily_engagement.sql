{{
    config(
        materialized="incremental",
        incremental_strategy="replace_days",
        meta={"endpoints": ["users"]},
    )
}}
{%- set counters = user_counters() %}

with
    users as (select * from {{ ref("stg_users") }} where {{ is_touched() }}),

    pulls as ({{ engagement_pulls("users") }})

select
    users.organization_id,
    users.user_id,
    users.activity_date,
    {% for surface, blocks in surfaces().items() %}
        {%- set columns = [] -%}
        {%- for block in blocks -%} {%- do columns.extend(counters[block]) -%} {%- endfor -%}
        {{ is_any_counted(columns) }} as is_{{ surface }}_active,
    {% endfor %}
    {% for app in surfaces()["office"] %}
        {{ is_any_counted(counters[app]) }} as is_{{ app }}_active,
    {% endfor %}
    -- unknown as soon as one surface that every answer has is not reported; the unified one is reported
    -- only where
    -- offered
    users.chat_message_count
    + users.cowork_message_count
    + users.office_excel_message_count
    + users.office_outlook_message_count
    + users.office_powerpoint_message_count
    + users.office_word_message_count
    + users.design_message_count
    + users.science_message_count
    + coalesce(users.chat_cowork_unified_chat_message_count, 0)
    + coalesce(users.chat_cowork_unified_sessions_message_count, 0) as message_count,
    {% for columns in counters.values() %}
        {% for column in columns %} users.{{ column }}, {% endfor %}
    {% endfor %}
    users.web_search_count,
    users.last_activity_date,
    pulls.finality,
    users.pull_id,
    {{ built_through_sequence() }} as built_through_sequence
from users
inner join
    pulls
    on users.organization_id = pulls.organization_id
    and users.activity_date = pulls.activity_date
    and users.pull_id = pulls.pull_id
