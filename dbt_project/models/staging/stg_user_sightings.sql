-- every complete pull, current or not: what an account was called is told by the newest answer about any day
with
    cost_sightings as (
        select pull_id, actor, activity_date from {{ source("claude_raw", "user_cost_report") }}
    ),

    usage_sightings as (
        select pull_id, actor, activity_date from {{ source("claude_raw", "user_usage_report") }}
    ),

    engagement_sightings as (
        select pull_id, "user" as actor, activity_date from {{ source("claude_raw", "users") }}
    ),

    sightings as (
        {% for report in ["cost_sightings", "usage_sightings"] %}
            select
                pull_id,
                actor.user_id as user_id,
                coalesce(actor.email_address, actor.email) as email,
                actor.name as name,
                actor.deleted as is_deleted,
                true as is_account_state_told,
                activity_date
            from {{ report }}
            union all
        {% endfor %}
        select
            pull_id,
            actor.id as user_id,
            coalesce(actor.email_address, actor.email) as email,
            cast(null as varchar) as name,
            cast(null as boolean) as is_deleted,
            false as is_account_state_told,
            activity_date
        from engagement_sightings
    )

select
    pull_id,
    user_id,
    email,
    name,
    is_deleted,
    is_account_state_told,
    min(activity_date) as first_activity_date,
    max(activity_date) as last_activity_date
from sightings
where user_id is not null
group by pull_id, user_id, email, name, is_deleted, is_account_state_told
