select
    series.organization_id,
    series.scope,
    series.scope_value,
    windows.forecast_date,
    windows.activity_date,
    windows.weeks_back,
    windows.day_class,
    cast(series.amount_usd as double) as spent
from {{ ref("int_daily_spend_series") }} as series
inner join
    {{ ref("int_forecast_windows") }} as windows
    on series.organization_id = windows.organization_id
    and (series.scope = 'user') = windows.of_users
    and series.activity_date = windows.activity_date
where series.scope in {{ forecast_scopes() }}
