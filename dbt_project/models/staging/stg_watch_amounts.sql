with source as (select * from {{ source("claude_raw", "watch_amounts") }})

select
    look_id,
    organization_id,
    query,
    starting_at,
    user_id,
    email,
    name,
    product,
    model,
    amount as amount_cents,
    list_amount as list_amount_cents
from source
