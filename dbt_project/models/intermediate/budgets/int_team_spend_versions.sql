{#- A table, because both marts read it; only where some budget is on a team, so that it costs nothing without. -#}
{{ config(materialized="table") }}

with
    -- by person first: what a team pays is a share of that, as in marts.team_daily_spend
    person_spend as (
        select organization_id, activity_date, valid_from, valid_to, scope_value as user_id, amount_cents
        from {{ ref("int_spend_versions") }}
        where
            scope = 'user'
            and organization_id in (select organization_id from {{ ref("int_budgets") }} where scope = 'team')
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

select organization_id, activity_date, valid_from, valid_to, team, sum(amount_cents) as amount_cents
from team_spend
group by organization_id, activity_date, valid_from, valid_to, team
