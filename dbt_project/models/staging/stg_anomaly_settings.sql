with source as (select * from {{ source("claude_raw", "anomaly_settings") }})

select
    floor_usd,
    floor_tokens,
    -- what every threshold is multiplied by
    case sensitivity when 'low' then 1.25 when 'high' then 0.8 else 1 end as threshold_factor
from source
