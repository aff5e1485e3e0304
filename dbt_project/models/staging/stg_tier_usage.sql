with source as ({{ rows_of_current_pulls(source("claude_raw", "usage"), "usage") }})

select
    pull_id,
    organization_id,
    activity_date,
    {{ model_name('"group".model') }} as model,
    "group".service_tier as service_tier,
    usage.uncached_input_tokens as uncached_input_tokens,
    usage.cache_read_input_tokens as cache_read_input_tokens,
    usage.cache_creation.ephemeral_5m_input_tokens as cache_creation_5m_input_tokens,
    usage.cache_creation.ephemeral_1h_input_tokens as cache_creation_1h_input_tokens,
    usage.output_tokens as output_tokens
from source
