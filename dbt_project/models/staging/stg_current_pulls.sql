with
    pull_days as (select * from {{ ref("stg_pull_days") }}),

    current_pulls as (select * from pull_days where superseded_at is null)

select
    endpoint,
    organization_id,
    activity_date,
    pull_id,
    pull_sequence,
    fetched_at,
    data_refreshed_at,
    api_organization_id,
    finality
from current_pulls
