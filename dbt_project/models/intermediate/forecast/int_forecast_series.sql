{{ config(materialized="table") }}

with
    series as (
        select
            organization_id,
            scope,
            scope_value,
            min(activity_date) as first_date,
            max(activity_date) as last_date
        from {{ ref("int_daily_spend_series") }}
        where scope in {{ forecast_scopes() }} and amount_usd <> 0
        group by organization_id, scope, scope_value
    )

select
    series.organization_id,
    series.scope,
    series.scope_value,
    dates.forecast_date,
    dates.month,
    dates.of_users,
    dates.is_newest,
    greatest(series.first_date, dates.forecast_date - {{ forecast_window() }}) as start_date
from series
inner join
    {{ ref("int_forecast_dates") }} as dates
    on series.organization_id = dates.organization_id
    and (series.scope = 'user') = dates.of_users
    and series.first_date <= dates.forecast_date
    and series.last_date >= dates.forecast_date - {{ forecast_window() }}
