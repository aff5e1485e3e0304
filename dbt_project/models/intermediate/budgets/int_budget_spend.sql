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
        ),
    {% endfor %}

    -- by person first: what a team pays is a share of that, as in marts.team_daily_spend
    person_spend as (
        select
            organization_id, activity_date, valid_from, valid_to, user_id, sum(amount_cents) as amount_cents
        from lines
        where organization_id in (select wanted.organization_id from wanted where wanted.scope = 'team')
        group by organization_id, activity_date, valid_from, valid_to, user_id
    ),

    team_spend as (
        {{
            team_lines(
                "person_spend",
                ["organization_id", "activity_date", "valid_from", "valid_to"],
                ["amount_cents"],
            )
        }}
    )

{% for scope in scopes %}
    select *
    from {{ scope }}_spend
    union all
{% endfor %}
select
    organization_id,
    activity_date,
    valid_from,
    valid_to,
    'team' as scope,
    team as scope_value,
    sum(amount_cents)
from team_spend
group by organization_id, activity_date, valid_from, valid_to, team
