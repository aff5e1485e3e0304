{#-
    CTEs over `rows`, a bucket report as staging has it, ending in `one_row_per_key`. `grain` is what a group's amount is
    the complete total of:
        day             the ungrouped answer
        product         of a product: groups of an answer by product that hit no cap
        product_model   of a product and model: the same by both
        key             of every dimension, from the detail or a piece of it
-#}
{% macro one_row_per_key(rows, dimensions) %}
    answers as (
        select
            *,
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
        from {{ rows }}
    ),

    -- an answer by product that may lack groups proves nothing about the day
    complete_answers as (
        select *
        from answers
        where grain in ('day', 'key') or (grain is not null and group_count < {{ var("group_cap") }})
    ),

    -- a key that several answers of a pull list is one key: the first answer's rows stand.
    -- It is what the API spelled: two spellings of a name are two groups, each with an amount of its own.
    ranked as (
        select
            *,
            rank() over (
                partition by
                    pull_id,
                    organization_id,
                    activity_date,
                    grain,
                    {{ dimensions }},
                    reported_product,
                    reported_model
                order by length(query), query
            ) as answer_rank
        from complete_answers
    ),

    one_row_per_key as (select * from ranked where answer_rank = 1)
{% endmacro %}

{#-
    CTEs that split what the true total of each version of a day has beyond its users, ending in `remainder_lines`.

    From the finest grain to the whole day, a remainder is what the answer of that grain reports beyond what is placed so
    far: users' lines and the remainders of finer grains. So each answer counts once with its sign, and the lines add up to
    the ungrouped total whatever the others are.

    A sum of one of `nullable` is unknown as soon as one part is. No CTE is read twice, so that a filter on days reaches
    the scans.

    `reported_grain` is the coarsest grain that a line has a part of: only at `key` is a null the API's own, at the others
    the dimension is not known.
-#}
{% macro remainder_lines(days, user_rows, answers, dimensions, measures, nullable=[]) %}
    {%- set version = "organization_id, activity_date, valid_from, valid_to" -%}
    {%- set names = dimensions.split(",") | map("trim") | list -%}
    {%- set grains = [("key", names), ("product_model", names[:2]), ("product", names[:1]), ("day", [])] -%}
    {%- set placed = ["user"] -%}
    reported as (
        select {{ version }}, grain, {{ dimensions }}, {{ measures | join(", ") }}
        from {{ days }}
        inner join {{ answers }} using (organization_id, activity_date)
        where total_pull_id = pull_id
        union all
        -- an ungrouped answer without rows reports a day of nothing
        select
            {{ version }},
            'day' as grain,
            {{ no_dimensions(dimensions) }},
            {% for measure in measures %} 0 as {{ measure }}{{ "," if not loop.last }} {% endfor %}
        from {{ days }}
        where total_pull_id is not null
        union all
        select {{ version }}, 'user' as grain, {{ dimensions }}, {{ measures | join(", ") }}
        from {{ user_rows }}
    ),

    amounts as (
        select {{ version }}, grain, {{ dimensions }}, {{ sums_of(measures, nullable) }}
        from reported
        group by {{ version }}, grain, {{ dimensions }}
    ),

    {% for grain, grain_dimensions in grains %}
        {{ grain }}_remainders as (
            select
                {{ version }},
                grain,
                {{ dimensions }},
                {%- set filter = (
                    "filter (where grain in ('" ~ grain ~ "', '" ~ placed | join("', '") ~ "'))"
                ) %}
                {% for measure in measures %}
                    case
                        when grain <> '{{ grain }}'
                        then {{ measure }}
                        {% if measure in nullable %}
                            when
                                count(*) {{ filter }} over group_rows
                                > count({{ measure }}) {{ filter }} over group_rows
                            then null
                        {% endif %}
                        else
                            sum(case when grain = '{{ grain }}' then {{ measure }} else - {{ measure }} end)
                            {{ filter }} over group_rows
                    end as {{ measure }}{{ "," if not loop.last }}
                {% endfor %}
            from {{ "amounts" if loop.first else placed[-1] ~ "_remainders" }}
            window group_rows as (partition by {{ ([version] + grain_dimensions) | join(", ") }})
        ),
        {%- do placed.append(grain) %}
    {% endfor %}

    -- remainders of several grains meet where the API's own nulls stand for the finer dimensions
    remainder_lines as (
        select
            {{ version }},
            coalesce({{ dimensions }}) is not null as is_placed,
            case
                {% for grain, _ in grains[1:] | reverse %}
                    when
                        count(*) filter (
                            where grain = '{{ grain }}' and ({{ measures | join(" <> 0 or ") }} <> 0)
                        )
                        > 0
                    then '{{ grain }}'
                {% endfor %}
                else 'key'
            end as reported_grain,
            {{ dimensions }},
            {{ sums_of(measures, nullable) }}
        from day_remainders
        where grain <> 'user'
        group by {{ version }}, {{ dimensions }}
    )
{% endmacro %}

{#-
    Touched days on which part of what no user is behind is not known by every dimension, beyond rounding dust: there, cost
    and usage of one key cannot be set against each other. What has neither tokens nor searches counts for nothing.
-#}
{% macro partly_detailed_days(days_before=0) %}
    select organization_id, activity_date
    from {{ ref("fct_claude_costs") }}
    where
        reported_grain <> 'key'
        and greatest(abs(amount_cents), abs(list_amount_cents)) > {{ remainder_dust() }}
        and {{ is_touched(days_before=days_before) }}
    union
    select organization_id, activity_date
    from {{ ref("fct_claude_usage") }}
    where
        reported_grain <> 'key'
        and (total_tokens <> 0 or web_search_requests <> 0)
        and {{ is_touched(days_before=days_before) }}
{% endmacro %}

{% macro remainder_dust() -%} cast('{{ var("remainder_dust_cents") }}' as decimal(38, 12)) {%- endmacro %}
