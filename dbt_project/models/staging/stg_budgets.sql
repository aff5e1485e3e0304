with source as (select * from {{ source("claude_raw", "budgets") }})

select
    budget_id,
    organization_id,
    scope,
    scope_value,
    period,
    limit_usd,
    warn_percents,
    coalesce(forecast, false) as has_forecast,
    addresses
from source
