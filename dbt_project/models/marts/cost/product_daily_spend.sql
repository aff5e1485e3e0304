{{
    config(
        materialized="incremental",
        incremental_strategy="replace_days",
        meta={
            "endpoints": ["user_cost_report", "cost_report", "user_usage_report", "usage_report"],
            "labels": ["plan"],
        },
    )
}}

with {{ daily_spend({"product": "product", "is_placed": "reported_grain <> 'day'"}) }}

select
    organization_id,
    activity_date,
    product,
    is_placed,
    plan,
    {{ daily_spend_amounts() }},
    {{ daily_spend_counts() }},
    finality,
    {{ built_through_sequence(["fct_claude_costs", "fct_claude_usage"]) }} as built_through_sequence
from daily_spend
