{{
    config(
        materialized="incremental",
        incremental_strategy="replace_days",
        meta={"endpoints": ["user_usage_report", "usage_report"]},
    )
}}

with lines as (select * from {{ ref("int_usage_lines") }} where valid_to is null and {{ is_touched() }})

select
    organization_id,
    activity_date,
    user_id,
    attribution,
    is_placed,
    reported_grain,
    {{ usage_dimensions() }},
    {% for counter in token_counters() + ["web_search_requests"] %}
        cast({{ counter }} as bigint) as {{ counter }},
    {% endfor %}
    cast(
        {% for counter in token_counters() %}
            coalesce({{ counter }}, 0) {{ "+" if not loop.last }}
        {% endfor %} as bigint
    ) as total_tokens,
    cast(requests as bigint) as requests,
    finality,
    pull_id,
    {{ built_through_sequence() }} as built_through_sequence
from lines
