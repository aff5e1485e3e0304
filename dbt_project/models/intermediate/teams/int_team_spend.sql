{%- set amounts = ["amount_cents", "list_amount_cents"] %}
{%- set counters = token_counters() + ["total_tokens", "web_search_requests"] %}

with
    user_spend as (
        select
            organization_id, activity_date, user_id, {{ amounts | join(", ") }}, {{ counters | join(", ") }}
        from {{ ref("user_daily_spend") }}
    ),

    unattributed as (
        select
            organization_id,
            activity_date,
            cast(null as varchar) as user_id,
            {{ sums_of(amounts) }},
            {% for counter in counters %}
                cast(null as bigint) as {{ counter }}{{ "," if not loop.last }}
            {% endfor %}
        from {{ ref("fct_claude_costs") }}
        where attribution <> 'user'
        group by organization_id, activity_date
        union all
        select
            organization_id,
            activity_date,
            cast(null as varchar) as user_id,
            {% for amount in amounts %} cast(null as decimal(38, 12)) as {{ amount }}, {% endfor %}
            {% for counter in counters %}
                cast(sum({{ counter }}) as bigint) as {{ counter }}{{ "," if not loop.last }}
            {% endfor %}
        from {{ ref("fct_claude_usage") }}
        where attribution <> 'user'
        group by organization_id, activity_date
    ),

    spend as (
        select *
        from user_spend
        union all
        select *
        from unattributed
    )

    {{ team_lines("spend", ["organization_id", "activity_date", "user_id"], amounts, counters) }}
