with
    current_pulls as (
        select * from {{ ref("stg_current_pulls") }} where endpoint in ('user_cost_report', 'cost_report')
    )

select
    organization_id,
    activity_date,
    max(case when endpoint = 'user_cost_report' then pull_id end) as user_pull_id,
    max(case when endpoint = 'cost_report' then pull_id end) as total_pull_id,
    -- a day with one of its two answers cannot be split honestly yet
    case when count(*) < 2 then 'incomplete' else {{ worst_finality() }} end as finality
from current_pulls
group by organization_id, activity_date
