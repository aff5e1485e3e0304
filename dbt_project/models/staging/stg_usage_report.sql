with
    source as ({{ rows_of_current_pulls(source("claude_raw", "usage_report"), "usage_report") }}),

    -- a key that several pieces of a capped answer list is one key: the first piece's rows stand
    listed_once as (
        select
            *,
            rank() over (
                partition by
                    pull_id, organization_id, activity_date, query = 'total', {{ usage_dimensions() }}
                order by length(query), query
            ) as listing_rank
        from source
        -- answers grouped by one dimension only name the values to split a capped answer by
        where not starts_with(query, 'by_')
    )

select
    pull_id,
    organization_id,
    activity_date,
    query = 'total' as is_total,
    query = 'detail' as is_whole_detail,
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
from listed_once
where listing_rank = 1
