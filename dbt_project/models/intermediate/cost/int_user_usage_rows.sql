select
    days.organization_id,
    days.activity_date,
    days.valid_from,
    days.valid_to,
    user_rows.user_id,
    {{ usage_dimensions("user_rows.") }},
    {% for counter in token_counters() %} user_rows.{{ counter }}, {% endfor %}
    user_rows.web_search_requests,
    user_rows.requests
from {{ ref("int_usage_day_versions") }} as days
inner join
    {{ ref("stg_user_usage_report") }} as user_rows
    on days.organization_id = user_rows.organization_id
    and days.activity_date = user_rows.activity_date
    and days.user_pull_id = user_rows.pull_id
where
    -- a day whose true total is not known has no lines yet
    days.total_pull_id is not null
    -- what names no user account is unattributed
    and user_rows.user_id is not null
