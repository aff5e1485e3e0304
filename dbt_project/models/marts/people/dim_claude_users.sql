with
    account_states as (select * from {{ ref("int_account_states") }}),

    -- newest first: whole states, those with a name, those with an address
    ranked as (
        select
            *,
            row_number() over (
                partition by organization_id, user_id, is_account_state_reported
                order by pull_sequence desc, newest_activity_date desc, email, name
            ) as state_rank,
            row_number() over (
                partition by organization_id, user_id, name is not null
                order by pull_sequence desc, newest_activity_date desc, name
            ) as name_rank,
            row_number() over (
                partition by organization_id, user_id, email is not null
                order by pull_sequence desc, newest_activity_date desc, email
            ) as email_rank
        from account_states
    ),

    users as (
        select
            organization_id,
            user_id,
            max(case when is_account_state_reported and state_rank = 1 then cast(is_deleted as integer) end)
            = 1 as is_newest_deleted,
            max(case when is_account_state_reported and state_rank = 1 then email end) as newest_state_email,
            max(case when is_account_state_reported and state_rank = 1 then name end) as newest_state_name,
            max(case when email is not null and email_rank = 1 then email end) as newest_email,
            max(case when name is not null and name_rank = 1 then name end) as newest_name,
            -- once an account is deleted it stays so, whatever an older payload or a later replay of one
            -- holds
            max(
                case
                    when email is null and name = 'Deleted User' and coalesce(is_deleted, true) then 1 else 0
                end
            )
            = 1 as is_account_deleted,
            min(first_activity_date) as first_seen_date,
            max(last_activity_date) as last_seen_date
        from ranked
        group by organization_id, user_id
    )

select
    organization_id,
    user_id,
    case
        when is_account_deleted
        then null
        -- a member who left keeps what the API still reports, and no more
        when is_newest_deleted
        then newest_state_email
        else newest_email
    end as email,
    case
        when is_account_deleted
        then 'Deleted User'
        when is_newest_deleted
        then newest_state_name
        else newest_name
    end as name,
    is_account_deleted or coalesce(is_newest_deleted, false) as is_deleted,
    is_account_deleted,
    first_seen_date,
    last_seen_date
from users
