{{ config(materialized="table") }}

select
    dates.organization_id,
    dates.of_users,
    dates.forecast_date,
    days.activity_date,
    divide(dates.forecast_date - days.activity_date, 7) as weeks_back,
    days.day_class
from {{ ref("int_forecast_dates") }} as dates
inner join
    {{ ref("int_forecast_days") }} as days
    on dates.organization_id = days.organization_id
    and days.activity_date between dates.forecast_date - {{ forecast_window() }} and dates.forecast_date
    and days.is_known
