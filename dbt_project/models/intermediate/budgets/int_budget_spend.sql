{#- A table, because both marts read it; only what some budget is on, so that it costs nothing without budgets. -#}
{{ config(materialized="table") }}
{%- set scopes = {
    "organization": "organization_id",
    "user": "user_id",
    "product": "product",
    "model": "model",
} %}

with
    wanted as (select distinct organization_id, scope from {{ ref("int_budgets") }}),

    lines as (
        select *
        from {{ ref("int_cost_lines") }}
        where organization_id in (select wanted.organization_id from wanted)
    ),

    {% for scope, column in scopes.items() %}
        {{ scope }}_spend as (
            select
                organization_id,
                activity_date,
                valid_from,
                valid_to,
                '{{ scope }}' as scope,
                {{ column }} as scope_value,
                sum(amount_cents) as amount_cents
            from lines
            where
                {{ column }} is not null
                and organization_id
                in (select wanted.organization_id from wanted where wanted.scope = '{{ scope }}')
            group by all
        ){{ "," if not loop.last }}
    {% endfor %}

{% for scope in scopes %} select * from {{ scope }}_spend {{ "union all" if not loop.last }} {% endfor %}
