{#-
    After a run: every table and column carries its description as a comment, in the working file and so in its copy. Only
    what differs is written, at once: dbt's persist_docs does it model by model, for two fifths of a whole build's CPU.
-#}
{% macro write_descriptions() -%}
    {%- set written = {} -%}
    {%- for row in (run_query(comments()).rows if execute else []) -%}
        {%- do written.update({row[0]: row[1]}) -%}
    {%- endfor -%}
    {%- for node in (graph.nodes.values() if execute else []) if node.resource_type in ["model", "seed"] -%}
        {%- set relation = node.schema ~ "." ~ node.alias -%}
        {%- set kind = "view" if node.config.materialized == "view" else "table" -%}
        {{- comment_unless_written(written, kind, relation, node.description) -}}
        {%- for column in node.columns.values() -%}
            {{-
                comment_unless_written(
                    written, "column", relation ~ "." ~ column.name, column.description
                )
            -}}
        {%- endfor -%}
    {%- endfor -%}
{%- endmacro %}

{% macro comment_unless_written(written, kind, name, description) -%}
    {%- if name in written and written[name] != description -%}
        comment on {{ kind }} {{ name }} is {{ dbt.string_literal(dbt.escape_single_quotes(description)) }};
    {%- endif -%}
{%- endmacro %}

{% macro comments() -%}
    select schema_name || '.' || table_name, comment
    from duckdb_tables()
    where database_name = current_database()
    union all
    select schema_name || '.' || view_name, comment
    from duckdb_views()
    where database_name = current_database()
    union all
    select schema_name || '.' || table_name || '.' || column_name, comment
    from duckdb_columns()
    where database_name = current_database()
{%- endmacro %}
