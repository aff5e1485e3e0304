{#- CTEs of what each user spent per 'day' or 'month', ending in `user_spend`. `periods` is int_spend_days or int_spend_months. -#}
{% macro user_spend(period, periods) %}
    {%- set day = (
        "activity_date"
        if period == "activity_date"
        else "cast(date_trunc('month', activity_date) as date)"
    ) -%}
    {%- set amounts = ["amount_cents", "list_amount_cents"] -%}
    {%- set counters = token_counters() + ["total_tokens", "web_search_requests"] -%}
    -- one row per user, product and model
    user_lines as (
        select
            organization_id,
            {{ day }} as {{ period }},
            user_id,
            product,
            model,
            {{ sums_of(amounts + counters) }},
            {{ sum_of_requests() }} as requests
        from {{ ref("int_user_spend_lines") }}
        where {{ is_touched() }}
        group by organization_id, {{ day }}, user_id, product, model
    ),

    organization_totals as (
        select organization_id, {{ day }} as {{ period }}, sum(amount_cents) as amount_cents
        from {{ ref("fct_claude_costs") }}
        where {{ is_touched() }}
        group by organization_id, {{ day }}
    ),

    {% for dimension in ["product", "model"] %}
        {{ dimension }}_ranks as (
            select
                organization_id,
                {{ period }},
                user_id,
                {{ dimension }},
                row_number() over (
                    partition by organization_id, {{ period }}, user_id
                    order by
                        coalesce(sum(amount_cents), 0) desc,
                        coalesce(sum(list_amount_cents), 0) desc,
                        coalesce(sum(total_tokens), 0) desc,
                        {{ dimension }}
                ) as spend_rank
            from user_lines
            where {{ dimension }} is not null
            group by organization_id, {{ period }}, user_id, {{ dimension }}
        ),
    {% endfor %}

    user_sums as (
        select
            organization_id,
            {{ period }},
            user_id,
            {{ sums_of(amounts + counters) }},
            {{ sum_of_requests() }} as requests
        from user_lines
        group by organization_id, {{ period }}, user_id
    ),

    -- a period without a cost answer has no amount, which is not zero; tokens likewise
    user_totals as (
        select
            user_sums.organization_id,
            user_sums.{{ period }},
            user_sums.user_id,
            {% for amount in amounts %}
                case when periods.has_costs then coalesce(user_sums.{{ amount }}, 0) end as {{ amount }},
            {% endfor %}
            {% for counter in counters %}
                cast(
                    case when periods.has_usage then coalesce(user_sums.{{ counter }}, 0) end as bigint
                ) as {{ counter }},
            {% endfor %}
            cast(user_sums.requests as bigint) as requests
        from user_sums
        inner join
            {{ periods }} as periods
            on user_sums.organization_id = periods.organization_id
            and user_sums.{{ period }} = periods.{{ period }}
    ),

    user_spend as (
        select
            user_totals.organization_id,
            user_totals.user_id,
            user_totals.{{ period }},
            organizations.plan,
            user_totals.amount_cents,
            user_totals.list_amount_cents,
            user_totals.list_amount_cents - user_totals.amount_cents as discount_cents,
            {{ cents_to_usd("user_totals.amount_cents") }} as amount_usd,
            {{ cents_to_usd("user_totals.list_amount_cents") }} as list_amount_usd,
            {{ cents_to_usd("user_totals.list_amount_cents - user_totals.amount_cents") }} as discount_usd,
            {% for counter in counters + ["requests"] %} user_totals.{{ counter }}, {% endfor %}
            case
                when user_totals.amount_cents is not null
                then
                    rank() over (
                        partition by user_totals.organization_id, user_totals.{{ period }}
                        order by user_totals.amount_cents desc
                    )
            end as spend_rank,
            {{ share_of("user_totals.amount_cents", "organization_totals.amount_cents") }}
            as organization_share,
            product_ranks.product as top_product,
            model_ranks.model as top_model
        from user_totals
        left join
            organization_totals
            on user_totals.organization_id = organization_totals.organization_id
            and user_totals.{{ period }} = organization_totals.{{ period }}
        left join
            {{ ref("dim_claude_organizations") }} as organizations
            on user_totals.organization_id = organizations.organization_id
        {% for dimension in ["product", "model"] %}
            left join
                {{ dimension }}_ranks
                on user_totals.organization_id = {{ dimension }}_ranks.organization_id
                and user_totals.{{ period }} = {{ dimension }}_ranks.{{ period }}
                and user_totals.user_id = {{ dimension }}_ranks.user_id
                and {{ dimension }}_ranks.spend_rank = 1
        {% endfor %}
    )
{% endmacro %}
