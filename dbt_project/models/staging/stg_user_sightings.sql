{%- set actor = "actor_user_id, actor_email_address, actor_email, actor_name, actor_deleted" %}
-- every complete pull, current or not: what an account was called is told by the newest answer about any day
with
    cost_sightings as (
        select pull_id, activity_date, {{ actor }} from {{ source("claude_raw", "user_cost_report") }}
    ),

    usage_sightings as (
        select pull_id, activity_date, {{ actor }} from {{ source("claude_raw", "user_usage_report") }}
    ),

    engagement_sightings as (select pull_id, activity_date, "user" from {{ source("claude_raw", "users") }}),

    sightings as (
        {% for report in ["cost_sightings", "usage_sightings"] %}
            select
                pull_id,
                actor_user_id as user_id,
                coalesce(actor_email_address, actor_email) as email,
                actor_name as name,
                actor_deleted as is_deleted,
                true as is_account_state_told,
                activity_date
            from {{ report }}
            union all
        {% endfor %}
        select
            pull_id,
            "user".id as user_id,
            coalesce("user".email_address, "user".email) as email,
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
