select organization_id, activity_date, user_pull_id, total_pull_id, finality
from {{ ref("int_cost_day_versions") }}
where valid_to is null
