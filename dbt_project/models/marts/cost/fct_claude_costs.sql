{{
    config(
        materialized="incremental",
        incremental_strategy="replace_days",
        meta={"endpoints": ["user_cost_report", "cost_report"]},
        post_hook=(
            "{{ create_fct_claude_costs_as_of(ref('base_user_cost_report'), ref('base_cost_report'), ref('stg_pull_days')) }}"
        ),
    )
}}

with
    -- a day whose true total is not known has no lines yet; cost_reconciliation says so
    days as (select * from {{ ref("int_cost_days") }} where total_pull_id is not null and {{ is_touched() }}),

    {{ cost_lines("days", ref("stg_user_cost_report"), ref("stg_cost_report")) }}

select
    organization_id,
    activity_date,
    user_id,
    attribution,
    is_placed,
    {{ cost_dimensions() }},
    amount_cents,
    list_amount_cents,
    amount_usd,
    list_amount_usd,
    currency,
    finality,
    pull_id,
    {{ built_through_sequence() }} as built_through_sequence
from cost_lines
