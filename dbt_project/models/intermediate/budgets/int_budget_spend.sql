select organization_id, activity_date, valid_from, valid_to, scope, scope_value, amount_cents
from {{ ref("int_spend_versions") }}
where scope_value is not null
union all
select
    organization_id, activity_date, valid_from, valid_to, 'team' as scope, team as scope_value, amount_cents
from {{ ref("int_team_spend_versions") }}
