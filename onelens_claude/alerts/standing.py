"""What stands now: the budgets of the newest period and the open incidents, for `status`, checks and `--fail-on`.

What is here: the two queries. What to add here: another state that several places show.
What must not go here: what is told of it, and once (`facts.py`, `log.py`).
"""

BUDGETS = """
    -- the columns by name as far as they are there: the mart of an older version has no forecast
    select
        columns(lambda name: name in (
            'organization_id', 'budget_id', 'scope', 'scope_value', 'period_start', 'limit_usd', 'spent_usd',
            'percent_used', 'forecast_usd', 'forecast_low_usd', 'forecast_high_usd', 'threshold_crossed', 'status'
        )),
        coalesce(email, name, scope_value) as member
    from marts.budget_status
    left join (select organization_id, user_id as scope_value, 'user' as scope, email, name from marts.dim_claude_users)
        using (organization_id, scope, scope_value)
    qualify period_start = max(period_start) over (partition by organization_id, budget_id)
    order by status = 'exceeded' desc, percent_used desc, organization_id, budget_id, scope_value"""
OPEN_INCIDENTS = """
    select organization_id, incident_id, min(activity_date) as since, any_value(scope) as scope,
        any_value(scope_value) as scope_value, max(impact_usd) as impact_usd,
        arg_max(reason, coalesce(abs(score), 0)) as reason, arg_max(kind, coalesce(abs(score), 0)) as kind
    from marts.cost_anomalies
    where status = 'open'
    group by organization_id, incident_id
    order by impact_usd desc nulls last, organization_id, incident_id"""
