with
    looks as (select * from {{ source("claude_raw", "watch_looks") }}),

    pages as (
        select look_id, bool_or(is_last) as has_all_users
        from {{ source("claude_raw", "watch_pages") }}
        where query = 'users'
        group by look_id
    )

select
    look_id,
    look_sequence,
    organization_id,
    activity_date,
    status,
    looked_at,
    data_refreshed_at,
    coalesce(has_all_users, false) as has_all_users,
    error_type,
    error_message,
    request_id
from looks
left join pages using (look_id)
