-- every complete pull, current or not: the newest answer about any day has an account's current name
{% for report in ["user_cost_report", "user_usage_report"] %}
    select
        pull_id,
        activity_date,
        actor_user_id as user_id,
        coalesce(actor_email_address, actor_email) as email,
        actor_name as name,
        actor_deleted as is_deleted,
        true as is_account_state_reported
    from {{ source("claude_raw", report) }}
    where actor_user_id <> '{{ erased_user() }}'
    union all
{% endfor %}
select
    pull_id,
    activity_date,
    "user".id as user_id,
    coalesce("user".email_address, "user".email) as email,
    cast(null as varchar) as name,
    cast(null as boolean) as is_deleted,
    false as is_account_state_reported
from {{ source("claude_raw", "users") }}
where "user".id is not null
