-- days whose cost and activity are both known: only these may be divided by each other
with
    engagement_days as (
        select organization_id, activity_date, finality from {{ ref("int_engagement_days") }}
    ),

    costs as (
        select organization_id, activity_date, total_cents, finality
        from {{ ref("cost_reconciliation") }}
        where total_pull_id is not null and user_pull_id is not null and finality <> 'incomplete'
    )

select
    engagement_days.organization_id,
    engagement_days.activity_date,
    cast(date_trunc('month', engagement_days.activity_date) as date) as month,
    costs.total_cents,
    case
        when 'incomplete' in (engagement_days.finality, costs.finality)
        then 'incomplete'
        when 'provisional' in (engagement_days.finality, costs.finality)
        then 'provisional'
        else 'final'
    end as finality
from engagement_days
inner join
    costs
    on engagement_days.organization_id = costs.organization_id
    and engagement_days.activity_date = costs.activity_date
