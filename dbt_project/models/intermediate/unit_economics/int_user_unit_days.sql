{{
    config(
        materialized="incremental",
        incremental_strategy="replace_days",
        meta={"endpoints": ["users", "user_cost_report", "cost_report"]},
    )
}}
{%- set surfaces = message_products() %}

with
    activity as (select * from {{ ref("int_user_daily_events") }} where {{ is_touched() }}),

    user_costs as (
        select
            organization_id,
            activity_date,
            user_id,
            sum(amount_cents) as user_cents,
            sum(case when product = 'claude_code' then amount_cents else 0 end) as claude_code_cents,
            {% for product, surface in surfaces.items() %}
                sum(
                    case when product = '{{ product }}' then amount_cents else 0 end
                ) as {{ surface }}_cents{{ "," if not loop.last }}
            {% endfor %}
        from {{ ref("int_user_spend_lines") }}
        where {{ is_touched() }}
        group by organization_id, activity_date, user_id
    )

select
    coalesce(activity.organization_id, user_costs.organization_id) as organization_id,
    coalesce(activity.activity_date, user_costs.activity_date) as activity_date,
    coalesce(activity.user_id, user_costs.user_id) as user_id,
    activity.user_id is not null as is_active,
    activity.message_count,
    {% for surface in surfaces.values() %} activity.{{ surface }}_message_count, {% endfor %}
    -- messages of the surfaces whose products have a cost of their own; the unified one is there only where
    -- offered
    activity.chat_message_count
    + activity.cowork_message_count
    + activity.office_message_count
    + activity.design_message_count
    + coalesce(activity.chat_cowork_unified_message_count, 0) as direct_message_count,
    activity.claude_code_session_count,
    activity.commit_count,
    activity.pull_request_count,
    activity.accepted_line_count,
    coalesce(user_costs.user_cents, 0) as user_cents,
    coalesce(user_costs.claude_code_cents, 0) as claude_code_cents,
    {% for surface in surfaces.values() %}
        coalesce(user_costs.{{ surface }}_cents, 0) as {{ surface }}_cents,
    {% endfor %}
    coalesce(user_costs.chat_cents, 0)
    + coalesce(user_costs.cowork_cents, 0)
    + coalesce(user_costs.office_cents, 0)
    + coalesce(user_costs.design_cents, 0)
    + case
        when activity.chat_cowork_unified_message_count is not null
        then coalesce(user_costs.chat_cowork_unified_cents, 0)
        else 0
    end as direct_message_cents,
    {{ built_through_sequence(["user_daily_engagement", "fct_claude_costs"]) }} as built_through_sequence
from activity
full outer join
    user_costs
    on activity.organization_id = user_costs.organization_id
    and activity.activity_date = user_costs.activity_date
    and activity.user_id = user_costs.user_id
