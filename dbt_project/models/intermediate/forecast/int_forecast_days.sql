{{ config(materialized="table") }}

with
    organization_days as (
        select organization_id, activity_date, is_complete
        from {{ ref("int_daily_spend_series") }}
        where scope = 'organization'
    ),

    spans as (
        select organization_id, min(activity_date) as first_date, last_day(max(activity_date)) as last_date
        from organization_days
        where is_complete
        group by organization_id
    ),

    dates as (select organization_id, {{ each_date("first_date", "last_date") }} as activity_date from spans)

select
    dates.organization_id,
    dates.activity_date,
    cast(date_trunc('month', dates.activity_date) as date) as month,
    case when holidays.holiday is not null then 7 else isodow(dates.activity_date) end as day_class,
    coalesce(organization_days.is_complete, false) as is_known
from dates
left join organization_days using (organization_id, activity_date)
left join {{ ref("stg_holidays") }} as holidays on dates.activity_date = holidays.holiday
