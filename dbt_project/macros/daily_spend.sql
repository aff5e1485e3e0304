{#-
    CTEs of what an organisation spent per day and `dimensions` (name to expression, over cost and usage alike),
    unattributed cost included, ending in `daily_spend`. Token amounts are the part of the amounts that is for tokens.
-#}
{% macro daily_spend(dimensions) %}
    {%- set amounts = [
        "amount_cents",
        "list_amount_cents",
        "token_amount_cents",
        "token_list_amount_cents",
    ] -%}
    {%- set counters = token_counters() + ["total_tokens", "web_search_requests"] -%}
    {%- set names = dimensions.keys() | join(", ") -%}
    -- cost and usage in one shape; what the other side does not know is null
    lines as (
        select
            organization_id,
            activity_date,
            user_id,
            {% for name, expression in dimensions.items() %} {{ expression }} as {{ name }}, {% endfor %}
            amount_cents,
            list_amount_cents,
            case when cost_type = 'tokens' then amount_cents end as token_amount_cents,
            case when cost_type = 'tokens' then list_amount_cents end as token_list_amount_cents,
            {% for counter in counters + ["requests"] %}
                cast(null as bigint) as {{ counter }}{{ "," if not loop.last }}
            {% endfor %}
        from {{ ref("fct_claude_costs") }}
        where {{ is_touched() }}
        union all
        select
            organization_id,
            activity_date,
            user_id,
            {% for name, expression in dimensions.items() %} {{ expression }} as {{ name }}, {% endfor %}
            {% for amount in amounts %} cast(null as decimal(38, 12)) as {{ amount }}, {% endfor %}
            {{ counters | join(", ") }},
            requests
        from {{ ref("fct_claude_usage") }}
        where {{ is_touched() }}
    ),

    added_up as (
        select
            organization_id,
            activity_date,
            {{ names }},
            {{ sums_of(amounts + counters) }},
            {{ sum_of_requests() }} as requests,
            count(distinct user_id) as user_count
        from lines
        group by organization_id, activity_date, {{ names }}
    ),

    -- a day without a cost answer has no amount, which is not zero; tokens likewise
    known as (
        select
            added_up.organization_id,
            added_up.activity_date,
            organizations.plan,
            {{ names }},
            {% for amount in amounts %}
                case when days.has_costs then coalesce(added_up.{{ amount }}, 0) end as {{ amount }},
            {% endfor %}
            {% for counter in counters %}
                cast(
                    case when days.has_usage then coalesce(added_up.{{ counter }}, 0) end as bigint
                ) as {{ counter }},
            {% endfor %}
            cast(added_up.requests as bigint) as requests,
            added_up.user_count,
            days.finality
        from added_up
        inner join
            {{ ref("int_spend_days") }} as days
            on added_up.organization_id = days.organization_id
            and added_up.activity_date = days.activity_date
        left join
            {{ ref("dim_claude_organizations") }} as organizations
            on added_up.organization_id = organizations.organization_id
    ),

    known_days as (
        select *, sum(amount_cents) over (partition by organization_id, activity_date) as day_amount_cents
        from known
    ),

    daily_spend as (
        select
            *,
            list_amount_cents - amount_cents as discount_cents,
            {{ cents_to_usd("amount_cents") }} as amount_usd,
            {{ cents_to_usd("list_amount_cents") }} as list_amount_usd,
            {{ cents_to_usd("list_amount_cents - amount_cents") }} as discount_usd,
            {{ share_of("amount_cents", "day_amount_cents") }} as organization_share
        from known_days
    )
{% endmacro %}

{#- Columns of daily_spend that every mart built from it shows. -#}
{% macro daily_spend_amounts() -%}
    amount_cents,
    list_amount_cents,
    discount_cents,
    amount_usd,
    list_amount_usd,
    discount_usd,
    organization_share
{%- endmacro %}

{% macro daily_spend_counts() -%}
    {{ token_counters() | join(", ") }}, total_tokens, web_search_requests, requests, user_count
{%- endmacro %}
