with
    source as ({{ rows_of_current_pulls(source("claude_raw", "usage_report"), "usage_report") }}),

    {{ told_once(usage_dimensions()) }}

select
    pull_id,
    organization_id,
    activity_date,
    grain,
    query = 'detail' as is_whole_detail,
    {{ usage_dimensions() }},
    uncached_input_tokens,
    cache_read_input_tokens,
    cache_creation.ephemeral_5m_input_tokens as cache_creation_5m_input_tokens,
    cache_creation.ephemeral_1h_input_tokens as cache_creation_1h_input_tokens,
    output_tokens,
    server_tool_use.web_search_requests as web_search_requests,
    requests
from told_once
