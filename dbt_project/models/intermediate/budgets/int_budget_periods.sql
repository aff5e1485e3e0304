with
    budgets as (select * from {{ ref("int_budgets") }}),

    days as (
        select
            budgets.organization_id,
            budgets.budget_id,
            {{ period_start("budgets.period", "days.activity_date") }} as period_start,
            days.activity_date,
            days.finality
        from budgets
        inner join {{ ref("int_asked_cost_days") }} as days on budgets.organization_id = days.organization_id
    ),

    periods as (
        select
            organization_id,
            budget_id,
            period_start,
            max(activity_date) as newest_date,
            count(case when finality <> 'incomplete' then 1 end) as known_day_count,
            count(case when finality = 'provisional' then 1 end) as provisional_day_count,
            count(case when finality = 'incomplete' then 1 end) as unknown_day_count,
            min(case when finality = 'incomplete' then activity_date end) as first_unknown_date,
            {{ worst_finality() }} as finality
        from days
        group by organization_id, budget_id, period_start
    ),

    -- with '*', who or what ever had a cost in the period, also where a revision took it back
    members as (
        select distinct
            budgets.organization_id,
            budgets.budget_id,
            {{ period_start("budgets.period", "spend.activity_date") }} as period_start,
            spend.scope_value
        from budgets
        inner join
            {{ ref("int_budget_spend") }} as spend
            on budgets.organization_id = spend.organization_id
            and budgets.scope = spend.scope
        where
            budgets.scope_value = '*'
            -- no team that could keep to a limit
            and spend.scope_value not in ({{ unmapped_team() }}, {{ unattributed_team() }})
    ),

    limited as (
        select
            periods.*,
            budgets.scope,
            coalesce(members.scope_value, budgets.scope_value) as scope_value,
            budgets.period,
            case
                budgets.period
                when 'monthly'
                then last_day(periods.period_start)
                when 'weekly'
                then periods.period_start + 6
                else periods.period_start
            end as period_end,
            budgets.limit_usd,
            budgets.limit_cents,
            budgets.warn_percents,
            budgets.has_forecast
        from periods
        inner join budgets using (organization_id, budget_id)
        left join members using (organization_id, budget_id, period_start)
        where budgets.scope_value <> '*' or members.scope_value is not null
    )

select
    * replace(
        case
            when known_day_count = period_end - period_start + 1 then finality else 'incomplete'
        end as finality
    )
from limited
