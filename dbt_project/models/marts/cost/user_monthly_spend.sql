{{
    config(
        materialized="incremental",
        incremental_strategy="replace_days",
        meta={
            "endpoints": ["user_cost_report", "cost_report", "user_usage_report", "usage_report"],
            "period": "month",
            "labels": ["plan"],
        },
    )
}}

with {{ user_spend("month", ref("int_spend_months")) }}

select
    user_spend.*,
    periods.day_count,
    periods.known_day_count,
    periods.is_complete,
    periods.finality,
    periods.first_known_date,
    periods.complete_through,
    {{ built_through_sequence(["fct_claude_costs", "fct_claude_usage"]) }} as built_through_sequence
from user_spend
inner join
    {{ ref("int_spend_months") }} as periods
    on user_spend.organization_id = periods.organization_id
    and user_spend.month = periods.month
