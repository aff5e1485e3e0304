with {{ one_row_per_key(ref("stg_usage_report"), usage_dimensions()) }}

select
    pull_id,
    organization_id,
    activity_date,
    grain,
    query = 'detail' as is_whole_detail,
    {{ usage_dimensions() }},
    {{ token_counters() | join(", ") }},
    web_search_requests,
    requests
from one_row_per_key
