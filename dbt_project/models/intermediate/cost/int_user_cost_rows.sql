select
    days.organization_id,
    days.activity_date,
    days.valid_from,
    days.valid_to,
    user_rows.user_id,
    {{ cost_dimensions("user_rows.") }},
    user_rows.amount_cents,
    user_rows.list_amount_cents
from {{ ref("int_cost_day_versions") }} as days
inner join
    {{ ref("stg_user_cost_report") }} as user_rows
    on days.organization_id = user_rows.organization_id
    and days.activity_date = user_rows.activity_date
    and days.user_pull_id = user_rows.pull_id
where
    -- a day whose true total is not known has no lines yet
    days.total_pull_id is not null
    -- what names no user account is unattributed
    and user_rows.user_id is not null
