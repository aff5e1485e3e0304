with source as (select * from {{ source("claude_raw", "usage_report") }})

select
    pull_id,
    organization_id,
    activity_date,
    query,
    product as reported_product,
    model as reported_model,
    {{ product_name("product") }} as product,
    {{ model_name("model") }} as model,
    context_window,
    inference_geo,
    speed,
    uncached_input_tokens,
    cache_read_input_tokens,
    cache_creation.ephemeral_5m_input_tokens as cache_creation_5m_input_tokens,
    cache_creation.ephemeral_1h_input_tokens as cache_creation_1h_input_tokens,
    output_tokens,
    server_tool_use.web_search_requests as web_search_requests,
    requests
from source
