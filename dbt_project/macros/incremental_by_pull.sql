{#-
    Incremental by pull: a model takes the days covered by complete pulls newer than what it holds, deletes them from its
    table and writes them anew, so a day that shrank to nothing disappears. It does so range by range of days, each small
    enough for the memory; a first build or a full refresh is the same over every day there is.

    A model that wants this is `materialized='incremental'`, `incremental_strategy='replace_days'`, and sets `meta`:
      endpoints    whose pulls touch a day
      period       'day' (column activity_date) or 'month' (column month); default 'day'
      labels       columns copied from dim_claude_organizations; days of an organisation whose label changed are touched
      days_after   so many days behind a touched one depend on it too; default 0
      rows_per_range   in place of the variable, for a model that reads far back before each range
    It narrows everything it reads by `{{ is_touched() }}` and selects `{{ built_through_sequence(...) }}` as its last
    column. Compiled alone, its SQL is that of all days.
-#}

{#- Condition on a column of days (or months): within the range of days being built, or so many days before it. -#}
{% macro is_touched(column="activity_date", days_before=0) -%}
    {#- the materialization reads it, and dbt sees only what a model names when it is parsed -#}
    {%- if not execute -%} {%- do ref("stg_pull_days") -%} {%- endif -%}
    {%- if days_before -%}
        {{ column }} between cast({{ first_day_literal() }} - interval {{ days_before }} day as date) and {{ last_day_literal() }}
    {%- else -%}
        {{ column }} between {{ first_day_literal() }} and {{ last_day_literal() }}
    {%- endif -%}
{%- endmacro %}

{#- What stands for the range in a compiled model; the comments tell it from a model's own literals. -#}
{% macro first_day_literal() -%} date '0001-01-01' /* first day */ {%- endmacro %}

{% macro last_day_literal() -%} date '9999-12-31' /* last day */ {%- endmacro %}

{#- The model's SQL for one range; literals, so that a table's statistics tell which parts of it need not be read. -#}
{% macro narrowed(sql, range) -%}
    {{-
        sql
        | replace(first_day_literal(), "date '" ~ range.first ~ "'")
        | replace(last_day_literal(), "date '" ~ range.last ~ "'")
    -}}
{%- endmacro %}

{% macro period_column() -%}
    {{ "month" if (config.get("meta") or {}).get("period") == "month" else "activity_date" }}
{%- endmacro %}

{#- First and last day of every touched day (or month), in order, with the rows its pulls have. -#}
{% macro touched_periods(is_whole) -%}
    {%- set meta = config.get("meta") or {} -%}
    {%- set is_monthly = meta.get("period") == "month" -%}
    {%- set first = "cast(date_trunc('month', activity_date) as date)" if is_monthly else "activity_date" -%}
    {%- set last = first ~ " + interval 1 month - interval 1 day" if is_monthly else "activity_date + interval " ~ meta.get("days_after", 0) ~ " day" -%}
    with
        pull_days as (
            select * from {{ ref("stg_pull_days") }} where endpoint in ('{{ meta.endpoints | join("', '") }}')
        ),

        days as (
            select
                activity_date,
                {% if is_whole %} true
                {% else %} max(pull_sequence) > (select coalesce(max(built_through_sequence), 0) from {{ this }})
                {% endif %} as is_touched,
                sum(case when superseded_at is null then day_row_count end) as row_count
            from pull_days
            group by activity_date
            {% if not is_whole and is_monthly %}
                {#- the retention cut this month, or the table lost it otherwise -#}
                union all
                select distinct {{ first }}, true, 0
                from pull_days
                where {{ first }} not in (select month from {{ this }})
            {% endif %}
            {% if not is_whole %}
                {% for label in meta.get("labels", []) %}
                    union all
                    select distinct built.{{ period_column() }}, true, 0
                    from {{ this }} as built
                    inner join {{ ref("dim_claude_organizations") }} as organizations
                        on built.organization_id = organizations.organization_id
                    where built.{{ label }} is distinct from organizations.{{ label }}
                {% endfor %}
            {% endif %}
        ),

        periods as (
            select
                {{ first }} as first_day,
                cast({{ last }} as date) as last_day,
                max(cast(is_touched as integer)) as is_touched,
                sum(row_count) as row_count
            from days
            group by {{ first }}, {{ last }}
        )

    select first_day, last_day, row_count
    from periods
    where is_touched = 1
    order by first_day
{%- endmacro %}

{#- Touched periods that follow each other, put together as long as one statement can take their rows. -#}
{% macro touched_ranges(is_whole) -%}
    {%- set ranges = [] -%}
    {%- set limit = (config.get("meta") or {}).get("rows_per_range", var("rows_per_range")) -%}
    {%- set one_day = modules.datetime.timedelta(days=1) -%}
    {%- for first, last, row_count in run_query(touched_periods(is_whole)) -%}
        {%- set rows = (row_count or 0) | int -%}
        {%- set before = ranges[-1] if ranges else none -%}
        {%- set follows = before and first <= before.last + one_day -%}
        {%- if follows and before.rows + rows <= limit -%}
            {%- do before.update({"last": last, "rows": before.rows + rows}) -%}
        {%- else -%}
            {%- do ranges.append({"first": before.last + one_day if follows else first, "last": last, "rows": rows}) -%}
        {%- endif -%}
    {%- endfor -%}
    {{- return(ranges) -}}
{%- endmacro %}

{#-
    The newest pull a model's rows can know. From the ledger, or, for a model built from incremental models, the least of
    what those hold: never more, so that a mart built before its fact is looked at again. -#}
{% macro built_through_sequence(models=[]) -%}
    {%- if models | length == 0 -%}
        (select coalesce(max(pull_sequence), 0) from {{ ref("stg_pull_days") }})
    {%- elif models | length == 1 -%}
        (select coalesce(max(built_through_sequence), 0) from {{ ref(models[0]) }})
    {%- else -%}
        least(
            {%- for model in models %}
                (select coalesce(max(built_through_sequence), 0) from {{ ref(model) }}){{ "," if not loop.last }}
            {%- endfor %}
        )
    {%- endif -%}
{%- endmacro %}
