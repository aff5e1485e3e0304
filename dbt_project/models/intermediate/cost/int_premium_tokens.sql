{{
    config(
        materialized="incremental",
        incremental_strategy="replace_days",
        meta={"endpoints": ["user_cost_report", "cost_report"]},
    )
}}

select
    organization_id,
    activity_date,
    speed,
    inference_geo,
    model,
    {{ sums_of(["amount_cents", "list_amount_cents"]) }},
    {{ built_through_sequence(["fct_claude_costs"]) }} as built_through_sequence
from {{ ref("fct_claude_costs") }}
where cost_type = 'tokens' and {{ is_touched() }}
group by organization_id, activity_date, speed, inference_geo, model
