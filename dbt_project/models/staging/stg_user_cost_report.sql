with source as (select * from {{ source("claude_raw", "user_cost_report") }})

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
    cost_type,
    token_type,
    amount as amount_cents,
    -- an older answer without list amounts shows no discount: the list amount is what was paid
    coalesce(list_amount, amount) as list_amount_cents,
    list_amount is not null as is_list_amount_known,
    coalesce(currency, 'USD') as currency
from source
