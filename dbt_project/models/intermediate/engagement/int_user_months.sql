{{
    config(
        materialized="incremental",
        incremental_strategy="replace_days",
        meta={"endpoints": ["users"], "period": "month"},
    )
}}

with
    user_days as (
        select *, cast(date_trunc('month', activity_date) as date) as month
        from {{ ref("int_user_daily_events") }}
        where {{ is_touched() }}
    )

select
    organization_id,
    user_id,
    month,
    count(*) as active_day_count,
    min(activity_date) as first_activity_date,
    max(activity_date) as last_activity_date,
    {% for surface in surfaces() %}
        case
            when count(is_{{ surface }}_active) > 0 then count(case when is_{{ surface }}_active then 1 end)
        end as {{ surface }}_active_day_count,
    {% endfor %}
    {% for event in unit_counters() %}
        cast({{ sum_if_all_known(event) }} as bigint) as {{ event }},
    {% endfor %}
    {{ built_through_sequence(["user_daily_engagement"]) }} as built_through_sequence
from user_days
group by organization_id, user_id, month
