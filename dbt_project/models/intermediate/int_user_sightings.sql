{{ config(materialized="incremental", incremental_strategy="append") }}

with
    new_pulls as (
        select pull_id, organization_id, pull_sequence, fetched_at
        from {{ source("claude_raw", "pulls") }}
        where
            status = 'complete' and endpoint in ('user_cost_report', 'user_usage_report', 'users')
            {% if is_incremental() %}
                and pull_sequence > (select coalesce(max(pull_sequence), 0) from {{ this }})
            {% endif %}
    ),

    sightings as (select * from {{ ref("stg_user_sightings") }})

select
    new_pulls.organization_id,
    sightings.user_id,
    sightings.email,
    sightings.name,
    sightings.is_deleted,
    sightings.is_account_state_told,
    sightings.first_activity_date,
    sightings.last_activity_date,
    new_pulls.pull_id,
    new_pulls.pull_sequence,
    new_pulls.fetched_at
from sightings
inner join new_pulls on sightings.pull_id = new_pulls.pull_id
