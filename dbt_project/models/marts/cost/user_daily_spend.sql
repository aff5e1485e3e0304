{{
    config(
        materialized="incremental",
        incremental_strategy="replace_days",
        meta={
            "endpoints": ["user_cost_report", "cost_report", "user_usage_report", "usage_report"],
            "period": "day",
            "labels": ["plan"],
        },
    )
}}

with {{ user_spend("activity_date", ref("int_spend_days")) }}

select
    user_spend.*,
    periods.finality,
    {{ built_through_sequence(["fct_claude_costs", "fct_claude_usage"]) }} as built_through_sequence
from user_spend
inner join
    {{ ref("int_spend_days") }} as periods
    on user_spend.organization_id = periods.organization_id
    and user_spend.activity_date = periods.activity_date
