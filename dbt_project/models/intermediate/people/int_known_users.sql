with
    active_days as (
        select
            organization_id,
            user_id,
            min(first_activity_date) as first_known_activity_date,
            max(last_activity_date) as last_known_activity_date
        from {{ ref("int_user_months") }}
        group by organization_id, user_id
    )

select
    active_days.organization_id,
    active_days.user_id,
    active_days.first_known_activity_date,
    active_days.last_known_activity_date,
    coalesce(users.is_deleted, false) as is_deleted
from active_days
left join
    {{ ref("dim_claude_users") }} as users
    on active_days.organization_id = users.organization_id
    and active_days.user_id = users.user_id
