with source as (select * from {{ source("claude_raw", "cost_report") }})

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
    cost_type,
    token_type,
    amount as amount_cents,
    -- an older answer without list amounts shows no discount: the list amount is what was paid
    coalesce(list_amount, amount) as list_amount_cents,
    list_amount is not null as is_list_amount_known,
    coalesce(currency, 'USD') as currency
from source
