with
    known as (
        select *, max(activity_date) over (partition by organization_id) as newest_date
        from {{ ref("int_forecast_days") }}
        where is_known
    ),

    dates as (
        select
            *,
            activity_date = newest_date as is_newest,
            -- the day of an earlier month that tells how good a forecast of the newest day's kind was
            day(activity_date) = least(day(newest_date), day(last_day(activity_date)) - 1)
            and month
            >= date_trunc('month', newest_date)
            - interval {{ var("forecast").user_months }} month as is_compared
        from known
    )

select organization_id, of_users, activity_date as forecast_date, month, is_newest
from dates
cross join (values (false), (true)) as kinds(of_users)
where not of_users or is_newest or is_compared or {{ var("forecast_every_user_day") }}
