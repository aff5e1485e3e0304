{{
    config(
        materialized="incremental",
        incremental_strategy="replace_days",
        meta={"endpoints": ["user_cost_report", "cost_report"]},
        post_hook="{{ create_fct_claude_costs_as_of(ref('int_cost_lines')) }}",
    )
}}

with lines as (select * from {{ ref("int_cost_lines") }} where valid_to is null and {{ is_touched() }})

select
    organization_id,
    activity_date,
    user_id,
    attribution,
    is_placed,
    reported_grain,
    {{ cost_dimensions() }},
    amount_cents,
    list_amount_cents,
    amount_usd,
    list_amount_usd,
    currency,
    finality,
    pull_id,
    {{ built_through_sequence() }} as built_through_sequence
from lines
