with source as (select * from {{ source("claude_raw", "user_usage_report") }})

select
    pull_id,
    organization_id,
    activity_date,
    actor_user_id as user_id,
    coalesce(actor_email_address, actor_email) as email,
    actor_name as name,
    coalesce(actor_deleted, false) as is_deleted,
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
    total_tokens,
    server_tool_use.web_search_requests as web_search_requests,
    requests
from source
