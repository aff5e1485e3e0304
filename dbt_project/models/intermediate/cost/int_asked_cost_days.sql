with
    asked as (
        select organization_id, min(window_start) as first_date, max(window_end) - 1 as last_date
        from {{ ref("stg_pulls") }}
        where endpoint in ('user_cost_report', 'cost_report')
        group by organization_id
    ),

    dates as (select organization_id, {{ each_date("first_date", "last_date") }} as activity_date from asked)

select dates.organization_id, dates.activity_date, coalesce(days.finality, 'incomplete') as finality
from dates
left join
    {{ ref("int_cost_days") }} as days
    on dates.organization_id = days.organization_id
    and dates.activity_date = days.activity_date
