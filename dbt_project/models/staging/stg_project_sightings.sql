-- every complete pull, current or not: a creator whose account is gone is named by older answers only
with
    source as (select * from {{ source("claude_raw", "chat_projects") }}),

    pulls as (
        select pull_id, fetched_at, pull_sequence
        from {{ source("claude_raw", "pulls") }}
        where status = 'complete'
    )

select
    source.pull_id,
    source.organization_id,
    source.activity_date,
    source.project_id,
    source.project_name,
    source.created_by.id as created_by_user_id,
    pulls.fetched_at,
    pulls.pull_sequence
from source
inner join pulls on source.pull_id = pulls.pull_id
