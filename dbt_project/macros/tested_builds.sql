{#-
    Tests of a model with `built_through_sequence` look at the days (or months) written since its tests last all passed,
    and at all rows of those days: a day is tested when it is written, however long the history is. What passed is kept in
    staging.tested_builds at the end of a run, so a build whose tests never ran, or failed, is tested by the next one.
-#}
{% macro get_where_subquery(relation) -%}
    {%- set is_tested = execute and flags.WHICH in ["build", "test"] -%}
    {%- set column = tested_period_column(relation) if is_tested else none -%}
    {%- if not column -%} {{- return(relation) -}} {%- endif -%}
    {%- set periods = run_query(untested_periods(relation, column)).columns[0].values() -%}
    {%- if periods | length > 100 -%} {{- return(relation) -}} {%- endif -%}
    {%- set listed = (
        "false" if not periods else column ~ " in (date '" ~ periods | join("', date '") ~ "')"
    ) -%}
    {{- return("(select * from " ~ relation ~ " where " ~ listed ~ ") as untested") -}}
{%- endmacro %}

{#- Column of the tested model's days or months, where its rows carry the build that wrote them. -#}
{% macro tested_period_column(relation) -%}
    {%- for node in graph.nodes.values() if node.resource_type == "model" and node.relation_name and relation | string == node.relation_name | replace('"' ~ node.database ~ '".', "") -%}
        {%- if "built_through_sequence" in node.columns -%}
            {{- return("month" if "month" in node.columns else "activity_date") -}}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}

{#- Rows of the newest build are always looked at: a changed label writes days anew without any new pull. -#}
{% macro untested_periods(relation, column) -%}
    select distinct {{ column }}
    from {{ relation }}
    where
        built_through_sequence >= (
            select
                least(
                    max(built_through_sequence),
                    coalesce(
                        (
                            select max(built_through_sequence) + 1
                            from {{ tested_builds() }}
                            where model_name = '{{ relation.identifier }}'
                        ),
                        0
                    )
                )
            from {{ relation }}
        )
    order by {{ column }}
{%- endmacro %}

{% macro tested_builds() -%} staging.tested_builds {%- endmacro %}

{% macro create_tested_builds() -%}
    create schema if not exists staging;
    create table if not exists {{ tested_builds() }} (model_name varchar, built_through_sequence bigint)
{%- endmacro %}

{#- After a run: remember of each model whose tests all passed up to which pull its rows are. -#}
{% macro record_tested_builds(results) -%}
    {%- set nodes = graph.nodes.values() | list if execute else [] -%}
    {%- set passed = (
        results | selectattr("status", "equalto", "pass") | map(attribute="node.unique_id") | list
        if execute
        else []
    ) -%}
    {%- for node in nodes if node.resource_type == "model" and "built_through_sequence" in node.columns -%}
        {%- set tests = [] -%}
        {%- for test in nodes if test.resource_type == "test" and node.unique_id in test.depends_on.nodes -%}
            {%- do tests.append(test.unique_id) -%}
        {%- endfor -%}
        {%- if tests and not tests | reject("in", passed) | list -%}
            delete from {{ tested_builds() }} where model_name = '{{ node.alias }}';
            insert into {{ tested_builds() }}
            select '{{ node.alias }}', max(built_through_sequence) from {{ node.schema }}.{{ node.alias }};
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}
