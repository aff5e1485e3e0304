with
    answers as (
        select answers.*, pulls.pull_sequence
        from {{ ref("stg_project_answers") }} as answers
        inner join {{ ref("stg_pulls") }} as pulls on answers.pull_id = pulls.pull_id
        where pulls.status = 'complete'
    ),

    ranked as (
        select
            *,
            row_number() over (
                partition by organization_id, project_id order by pull_sequence desc, activity_date desc
            ) as newest_rank,
            row_number() over (
                partition by organization_id, project_id, created_by_user_id is not null
                order by pull_sequence desc, activity_date desc
            ) as creator_rank
        from answers
    ),

    projects as (
        select
            organization_id,
            project_id,
            max(case when newest_rank = 1 then project_name end) as latest_project_name,
            max(case when newest_rank = 1 then created_by_user_id end) as latest_creator_id,
            max(case when creator_rank = 1 then created_by_user_id end) as created_by_user_id
        from ranked
        group by organization_id, project_id
    )

select
    projects.organization_id,
    projects.project_id,
    projects.latest_project_name,
    projects.created_by_user_id,
    -- reported before and no more: the account is gone. Never reported: nobody knows
    case
        when projects.created_by_user_id is not null
        then projects.latest_creator_id is null or coalesce(users.is_account_deleted, false)
    end as is_creator_deleted
from projects
left join
    {{ ref("dim_claude_users") }} as users
    on projects.organization_id = users.organization_id
    and projects.created_by_user_id = users.user_id
