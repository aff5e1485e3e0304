select
    organization_id,
    activity_date,
    valid_from,
    valid_to,
    user_id,
    {{ usage_dimensions() }},
    {{ sums_of(token_counters() + ["web_search_requests", "requests"], nullable=["requests"]) }}
from {{ ref("int_user_usage_rows") }}
group by organization_id, activity_date, valid_from, valid_to, user_id, {{ usage_dimensions() }}
