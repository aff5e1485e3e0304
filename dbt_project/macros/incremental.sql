{#-
    dbt's own incremental materialization builds the whole result at once, in memory and in a temporary table. This one,
    for models as in incremental_by_pull.sql, writes it range by range, in one transaction.
-#}
{% materialization incremental, adapter = "duckdb" %}
    {%- set target = this.incorporate(type="table") -%}
    {%- set existing = load_cached_relation(this) -%}
    {#- a table of a version that built it whole each time does not record what it holds -#}
    {%- set is_whole = should_full_refresh() or not has_column(existing, "built_through_sequence") -%}
    {%- set backup = make_backup_relation(target, existing.type if existing else "table") -%}
    {%- set new = make_intermediate_relation(target) -%}
    {{ drop_relation_if_exists(load_cached_relation(new)) }}
    {{ drop_relation_if_exists(load_cached_relation(backup)) }}
    {%- set written = new if is_whole else target -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- if not is_whole -%} {{ refuse_changed_columns(existing) }} {%- endif -%}

    {% call statement("main") %}
        {% if is_whole %}
            {{ create_table_as(False, written, "select * from (" ~ sql ~ ") where false") }}
            ;
        {% endif %}
        {% for range in touched_ranges(is_whole) %}
            {% if not is_whole %}
                delete from {{ written }}
                where {{ period_column() }} between date '{{ range.first }}' and date '{{ range.last }}'
                ;
            {% endif %}
            insert into {{ written }} by name select * from ({{ narrowed(sql, range) }});
        {% endfor %}
        select true
    {% endcall %}

    {% if is_whole %}
        {% if existing is not none %} {% do adapter.rename_relation(existing, backup) %} {% endif %}
        {% do adapter.rename_relation(new, target) %}
    {% endif %}
    {% do persist_docs(target, model) %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% do adapter.commit() %}
    {% if is_whole %} {{ drop_relation_if_exists(backup) }} {% endif %}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({"relations": [target]}) }}
{% endmaterialization %}

{% macro has_column(existing, column) -%}
    {%- set is_table = existing is not none and existing.is_table -%}
    {{- return(is_table and column in adapter.get_columns_in_relation(existing) | map(attribute="name")) -}}
{%- endmacro %}

{#- A model whose columns changed needs a full refresh: its older rows would lack what the newer have. -#}
{% macro refuse_changed_columns(existing) -%}
    {%- if config.get("contract").enforced -%} {{ get_assert_columns_equivalent(sql) }} {%- endif -%}
    {%- set described = [] -%}
    {%- for relation in ["(" ~ sql ~ ")", existing] -%}
        {%- set columns = run_query(
            "select column_name || ' ' || column_type from (describe select * from "
            ~ relation
            ~ ") order by 1"
        ) -%}
        {%- do described.append(columns.columns[0].values()) -%}
    {%- endfor -%}
    {%- if described[0] != described[1] -%}
        {%- do exceptions.raise_compiler_error(
            "the columns of "
            ~ this
            ~ " changed; run `dbt build --full-refresh --select "
            ~ this.identifier
            ~ "+`"
        ) -%}
    {%- endif -%}
{%- endmacro %}
