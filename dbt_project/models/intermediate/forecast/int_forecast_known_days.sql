{{ config(materialized="table") }}

with
    starts as (
        select distinct organization_id, of_users, forecast_date, start_date
        from {{ ref("int_forecast_series") }}
    )

select
    starts.organization_id,
    starts.of_users,
    starts.forecast_date,
    starts.start_date,
    windows.weeks_back,
    {% for day_class in range(1, 8) %}
        count(case when windows.day_class = {{ day_class }} then 1 end) as day_count_{{ day_class }}
        {{- "," if not loop.last }}
    {% endfor %}
from starts
inner join
    {{ ref("int_forecast_windows") }} as windows
    on starts.organization_id = windows.organization_id
    and starts.of_users = windows.of_users
    and starts.forecast_date = windows.forecast_date
    and windows.activity_date >= starts.start_date
group by all
