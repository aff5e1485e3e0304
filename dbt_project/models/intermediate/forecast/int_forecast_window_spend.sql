select
    spend.organization_id,
    spend.scope,
    spend.scope_value,
    windows.forecast_date,
    windows.activity_date,
    windows.weeks_back,
    windows.day_class,
    spend.spent,
    spend.usual
from {{ ref("int_forecast_usual_spend") }} as spend
inner join
    {{ ref("int_forecast_windows") }} as windows
    on spend.organization_id = windows.organization_id
    and (spend.scope = 'user') = windows.of_users
    and spend.activity_date = windows.activity_date
