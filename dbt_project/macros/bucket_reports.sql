{#-
    CTEs over the rows of a pull of a bucket report (`source`, a CTE), ending in `told_once`: names as the marts have them,
    and `grain`, what a group's amount is the complete total of:
        day             the ungrouped answer
        product         of a product: groups of an answer by product that hit no cap
        product_model   of a product and model: the same by both
        key             of every dimension, from the detail or a piece of it
-#}
{% macro told_once(dimensions) %}
    named as (
        select
            * exclude (product, model),
            {{ product_name("product") }} as product,
            {{ model_name("model") }} as model,
            case
                when query = 'total'
                then 'day'
                when starts_with(query, 'detail')
                then 'key'
                when starts_with(query, 'by_product_model')
                then 'product_model'
                when query = 'by_product'
                then 'product'
            end as grain,
            count(*) over (partition by pull_id, organization_id, activity_date, query) as group_count
        from source
    ),

    -- an answer by product that may lack groups proves nothing about the day
    complete_answers as (
        select *
        from named
        where grain in ('day', 'key') or (grain is not null and group_count < {{ var("group_cap") }})
    ),

    -- a key that several answers of a pull list is one key: the first answer's rows stand
    ranked as (
        select
            *,
            rank() over (
                partition by pull_id, organization_id, activity_date, grain, {{ dimensions }}
                order by length(query), query
            ) as listing_rank
        from complete_answers
    ),

    told_once as (select * from ranked where listing_rank = 1)
{% endmacro %}

{#-
    CTEs that split what the true total of each day has beyond its users, ending in `unattributed_lines`.

    CTEs needed: user_keys, the users' lines without the user; report_rows, as stg_cost_report or stg_usage_report.
    `sums` is the SQL that adds up each of `measures`; `is_something` the condition that a sum is a line.

    From the finest grain to the whole day, a remainder is what the answer of that grain tells beyond everything known so
    far. So each answer counts once with its sign, and the lines add up to the ungrouped total whatever the others say.
-#}
{% macro unattributed_lines(dimensions, measures, sums, is_something) %}
    {%- set names = dimensions.split(",") | map("trim") | list -%}
    {%- set grains = [("key", names), ("product_model", names[:2]), ("product", names[:1]), ("day", [])] -%}
    {%- set known = ["user_keys"] -%}
    {%- for grain, told in grains %}
        {{ grain }}_amounts as (
            select
                organization_id,
                activity_date,
                {% for name in told %} {{ name }}, {% endfor %}
                {{ measures | join(", ") }},
                1 as is_told
            from report_rows
            where grain = '{{ grain }}'
            {% for part in known %}
                union all
                select
                    organization_id,
                    activity_date,
                    {% for name in told %} {{ name }}, {% endfor %}
                    {% for measure in measures %} - {{ measure }} as {{ measure }}, {% endfor %}
                    0 as is_told
                from {{ part }}
            {% endfor %}
        ),

        {{ grain }}_remainders as (
            select
                organization_id,
                activity_date,
                {% for name in names %}
                    {{ name if name in told else "cast(null as varchar) as " ~ name }},
                {% endfor %}
                {{ sums }}
            from {{ grain }}_amounts
            group by organization_id, activity_date {% for name in told %}, {{ name }} {% endfor %}
            -- an answer without rows said that the day was nothing
            {% if told %} having max(is_told) = 1 {% endif %}
        ),
        {%- do known.append(grain ~ "_remainders") %}
    {% endfor %}

    all_remainders as (
        {% for grain, _ in grains %}
            select organization_id, activity_date, {{ dimensions }}, {{ measures | join(", ") }}
            from {{ grain }}_remainders {{ "union all" if not loop.last }}
        {% endfor %}
    ),

    -- remainders of several grains meet where the API's own nulls stand for the finer dimensions
    unattributed_lines as (
        select
            organization_id,
            activity_date,
            coalesce({{ dimensions }}) is not null as is_placed,
            {{ dimensions }},
            {{ sums }}
        from all_remainders
        group by organization_id, activity_date, {{ dimensions }}
        having {{ is_something }}
    )
{% endmacro %}

{#-
    Touched days on which part of what no user is behind is told by product and model at most: there, cost and usage of
    one finer key cannot be set against each other. Code execution has no dimension and no tokens, and counts for nothing.
-#}
{% macro days_with_rests() %}
    select organization_id, activity_date
    from {{ ref("fct_claude_costs") }}
    where attribution = 'unattributed' and cost_type is null and {{ is_touched() }}
    union
    select organization_id, activity_date
    from {{ ref("fct_claude_usage") }}
    where
        attribution = 'unattributed'
        and total_tokens <> 0
        and coalesce(context_window, inference_geo, speed) is null
        and {{ is_touched() }}
{% endmacro %}
