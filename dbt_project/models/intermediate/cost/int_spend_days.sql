with
    cost_days as (select * from {{ ref("int_cost_days") }}),

    usage_days as (select * from {{ ref("int_usage_days") }}),

    days as (
        select
            coalesce(cost_days.organization_id, usage_days.organization_id) as organization_id,
            coalesce(cost_days.activity_date, usage_days.activity_date) as activity_date,
            cost_days.total_pull_id is not null as has_costs,
            usage_days.total_pull_id is not null as has_usage,
            coalesce(cost_days.finality, 'incomplete') as cost_finality,
            coalesce(usage_days.finality, 'incomplete') as usage_finality
        from cost_days
        full outer join
            usage_days
            on cost_days.organization_id = usage_days.organization_id
            and cost_days.activity_date = usage_days.activity_date
    )

select
    organization_id,
    activity_date,
    has_costs,
    has_usage,
    case
        when 'incomplete' in (cost_finality, usage_finality)
        then 'incomplete'
        when 'provisional' in (cost_finality, usage_finality)
        then 'provisional'
        else 'final'
    end as finality
from days
