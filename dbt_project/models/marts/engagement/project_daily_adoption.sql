with
    projects as (select * from {{ ref("stg_chat_projects") }}),

    pulls as ({{ engagement_pulls("chat_projects") }})

select
    projects.organization_id,
    projects.activity_date,
    projects.project_id,
    projects.project_name,
    newest.latest_project_name,
    projects.distinct_user_count,
    projects.distinct_conversation_count,
    projects.message_count,
    projects.created_at,
    newest.created_by_user_id,
    newest.is_creator_deleted,
    pulls.finality,
    projects.pull_id
from projects
inner join
    pulls
    on projects.organization_id = pulls.organization_id
    and projects.activity_date = pulls.activity_date
    and projects.pull_id = pulls.pull_id
left join
    {{ ref("int_projects") }} as newest
    on projects.organization_id = newest.organization_id
    and projects.project_id = newest.project_id
