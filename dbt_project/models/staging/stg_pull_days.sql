{{ config(materialized="table") }}

with
    organizations as (select organization_id, revision_days from {{ source("claude_raw", "organizations") }}),

    complete_pulls as (select * from {{ source("claude_raw", "pulls") }} where status = 'complete'),

    pull_days as (
        select *, {{ each_date("window_start", "window_end - 1") }} as activity_date from complete_pulls
    ),

    dated as (
        select
            pull_days.*,
            pull_days.activity_date + interval 1 day as day_end,
            coalesce(organizations.revision_days, {{ var("default_revision_days") }}) as revision_days
        from pull_days
        left join organizations on pull_days.organization_id = organizations.organization_id
    )

select
    endpoint,
    organization_id,
    activity_date,
    pull_id,
    pull_sequence,
    fetched_at,
    -- the ledger's sequence is the order, not the clock: a pull made while it was fast ends with the next
    min(fetched_at) over (
        partition by endpoint, organization_id, activity_date
        order by pull_sequence
        rows between 1 following and unbounded following
    ) as superseded_at,
    data_refreshed_at,
    api_organization_id,
    -- of the pull's rows, the day's if they were spread evenly
    cast(ceil(row_count / cast(window_end - window_start as double)) as bigint) as day_row_count,
    case
        -- without a stamp, a day is taken as whole one day after its end
        when coalesce(data_refreshed_at, fetched_at - interval 1 day) < day_end
        then 'incomplete'
        when fetched_at >= day_end + revision_days * interval 1 day
        then 'final'
        else 'provisional'
    end as finality
from dated
