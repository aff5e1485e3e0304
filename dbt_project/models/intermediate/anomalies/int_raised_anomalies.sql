{{ config(materialized="table") }}

{%- set key = "organization_id, scope, scope_value, metric, activity_date, kind" %}
{%- set before = raised_before() %}

with
    newest_days as (
        select organization_id, max(activity_date) as newest_date
        from {{ ref("int_daily_spend_series") }}
        where scope = 'organization' and is_complete
        group by organization_id
    ),

    described as (select * from {{ ref("int_anomaly_descriptions") }}),

    -- what was raised once and is no longer was revised away; it does not vanish
    known as (
        select *, true as is_raised
        from described
        {% if before %}
            union all by name
            select
                * exclude (direction, incident_id, incident_start, incident_end, status, finality),
                false as is_raised
            from {{ before }}
            anti join described using ({{ key }})
        {% endif %}
    ),

    -- alert days with gaps of at most three days are one incident
    starts as (
        select *, coalesce(activity_date - lag(activity_date) over series > 4, true) as is_start
        from known
        window
            series as (partition by organization_id, scope, scope_value, metric order by activity_date, kind)
    ),

    incidents as (
        select
            *,
            max(case when is_start then activity_date end) over (
                partition by organization_id, scope, scope_value, metric order by activity_date, kind
            ) as incident_start
        from starts
    ),

    dated as (
        select
            *,
            max(case when is_raised then activity_date end) over (
                partition by organization_id, scope, scope_value, metric, incident_start
            ) as incident_end
        from incidents
    )

select
    organization_id,
    activity_date,
    scope,
    scope_value,
    metric,
    kind,
    window_days,
    actual,
    expected,
    low,
    high,
    score,
    impact_usd,
    'up' as direction,
    {{ incident_id("organization_id", "scope", "scope_value", "metric", "incident_start") }} as incident_id,
    incident_start,
    coalesce(incident_end, activity_date) as incident_end,
    reason,
    case
        when not is_raised
        then 'revised_away'
        when newest_date - incident_end <= 3
        then 'open'
        else 'resolved'
    end as status,
    days.finality
from dated
left join newest_days using (organization_id)
left join {{ ref("int_asked_cost_days") }} as days using (organization_id, activity_date)
