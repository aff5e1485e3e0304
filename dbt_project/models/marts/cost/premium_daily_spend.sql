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

with
    {{ daily_spend(["speed", "inference_geo"]) }},

    -- only tokens carry the factors: a search costs the same at any speed and in any place
    at_standard as (
        select
            *,
            {% for list in ["", "list_"] %}
                {{ list }}amount_cents
                - token_{{ list }}amount_cents
                + case
                    when speed = 'fast' and inference_geo = 'us'
                    then {{ divide_rounded("token_" ~ list ~ "amount_cents", 66, multiplier=10) }}
                    when speed = 'fast'
                    then {{ divide_rounded("token_" ~ list ~ "amount_cents", 6) }}
                    when inference_geo = 'us'
                    then {{ divide_rounded("token_" ~ list ~ "amount_cents", 11, multiplier=10) }}
                    else token_{{ list }}amount_cents
                end as standard_{{ list }}amount_cents{{ "," if not loop.last }}
            {% endfor %}
        from daily_spend
    )

select
    organization_id,
    activity_date,
    speed,
    inference_geo,
    plan,
    {{ daily_spend_amounts() }},
    standard_amount_cents,
    standard_list_amount_cents,
    {{ cents_to_usd("standard_amount_cents") }} as standard_amount_usd,
    {{ cents_to_usd("standard_list_amount_cents") }} as standard_list_amount_usd,
    {{ cents_to_usd("amount_cents - standard_amount_cents") }} as premium_amount_usd,
    {{ cents_to_usd("list_amount_cents - standard_list_amount_cents") }} as premium_list_amount_usd,
    {{ daily_spend_counts() }},
    finality,
    {{ built_through_sequence(["fct_claude_costs", "fct_claude_usage"]) }} as built_through_sequence
from at_standard
