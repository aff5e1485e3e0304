{#-
    Incremental by pull: a model takes the (organisation, day)s covered by complete pulls newer than what it holds, deletes
    them from its table and writes them anew, so a day that shrank to nothing disappears.

    A model that wants this sets `incremental_strategy='replace_days'` and `meta`:
      endpoints    whose pulls touch a day
      period       'day' (column activity_date) or 'month' (column month); default 'day'
      labels       columns copied from dim_claude_organizations; an organisation whose label changed is touched as a whole
    and selects `{{ built_through_sequence(...) }}` as its last column.
-#}

{#- Days (or months) to write anew; only under is_incremental(). -#}
{% macro touched_periods() -%}
    {%- set meta = config.get("meta") or {} -%}
    {%- set day = "cast(date_trunc('month', activity_date) as date)" if meta.get("period") == "month" else "activity_date" -%}
    select distinct organization_id, {{ day }} as {{ period_column() }}
    from {{ ref("stg_pull_days") }}
    where
        endpoint in ('{{ meta.get("endpoints", []) | join("', '") }}')
        and pull_sequence > (select coalesce(max(built_through_sequence), 0) from {{ this }})
    {%- for label in meta.get("labels", []) %}
        union
        select distinct built.organization_id, built.{{ period_column() }}
        from {{ this }} as built
        inner join {{ ref("dim_claude_organizations") }} as organizations
            on built.organization_id = organizations.organization_id
        where built.{{ label }} is distinct from organizations.{{ label }}
    {%- endfor %}
{%- endmacro %}

{% macro period_column() -%}
    {{ "month" if (config.get("meta") or {}).get("period") == "month" else "activity_date" }}
{%- endmacro %}

{#- Condition that keeps a first build whole and an incremental one to its touched periods. -#}
{% macro is_touched() -%}
    {#- named outside the condition, or dbt does not see that the model depends on it -#}
    {%- do ref("stg_pull_days") -%}
    {%- if is_incremental() -%}
        (organization_id, {{ period_column() }}) in (select organization_id, {{ period_column() }} from ({{ touched_periods() }}))
    {%- else -%} true
    {%- endif -%}
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

{% macro get_incremental_replace_days_sql(arg_dict) -%}
    {%- set columns = get_quoted_csv(arg_dict["dest_columns"] | map(attribute="name")) -%}
    delete from {{ arg_dict["target_relation"] }}
    where (organization_id, {{ period_column() }}) in (
        select organization_id, {{ period_column() }} from ({{ touched_periods() }})
    );
    insert into {{ arg_dict["target_relation"] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict["temp_relation"] }}
{%- endmacro %}
