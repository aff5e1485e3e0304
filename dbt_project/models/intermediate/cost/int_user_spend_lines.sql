{{
    config(
        materialized="incremental",
        incremental_strategy="replace_days",
        meta={"endpoints": ["user_cost_report", "cost_report", "user_usage_report", "usage_report"]},
    )
}}
{%- set amounts = ["amount_cents", "list_amount_cents"] %}
{%- set counters = token_counters() + ["total_tokens", "web_search_requests"] %}

with
    -- cost and usage in one shape; what the other side does not know is null
    lines as (
        select
            organization_id,
            activity_date,
            user_id,
            product,
            model,
            {{ amounts | join(", ") }},
            {% for counter in counters + ["requests"] %}
                cast(null as bigint) as {{ counter }}{{ "," if not loop.last }}
            {% endfor %}
        from {{ ref("fct_claude_costs") }}
        where attribution = 'user' and {{ is_touched() }}
        union all
        select
            organization_id,
            activity_date,
            user_id,
            product,
            model,
            {% for amount in amounts %} cast(null as decimal(38, 12)) as {{ amount }}, {% endfor %}
            {{ counters | join(", ") }},
            requests
        from {{ ref("fct_claude_usage") }}
        where attribution = 'user' and {{ is_touched() }}
    )

select
    organization_id,
    activity_date,
    user_id,
    product,
    model,
    {{ sums_of(amounts) }},
    {% for counter in counters %} cast(sum({{ counter }}) as bigint) as {{ counter }}, {% endfor %}
    cast({{ sum_of_requests() }} as bigint) as requests,
    {{ built_through_sequence(["fct_claude_costs", "fct_claude_usage"]) }} as built_through_sequence
from lines
group by organization_id, activity_date, user_id, product, model
