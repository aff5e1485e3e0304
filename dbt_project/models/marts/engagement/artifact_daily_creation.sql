with artifacts as (select * from {{ ref("stg_artifacts") }}), pulls as ({{ engagement_pulls("artifacts") }})

select
    artifacts.organization_id,
    artifacts.activity_date,
    artifacts.artifact_type,
    artifacts.is_shared,
    artifacts.distinct_user_count,
    artifacts.artifacts_created_count,
    artifacts.published_artifacts_created_count,
    pulls.finality,
    artifacts.pull_id
from artifacts
inner join
    pulls
    on artifacts.organization_id = pulls.organization_id
    and artifacts.activity_date = pulls.activity_date
    and artifacts.pull_id = pulls.pull_id
