with
    source as (select * from {{ source("claude_raw", "cost_report") }}),

    -- a key that several pieces of a capped answer list is one key: the first piece's rows stand
    listed_once as (
        select
            *,
            rank() over (
                partition by pull_id, organization_id, activity_date, query = 'total', {{ cost_dimensions() }}
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
    cost_type,
    token_type,
    amount as amount_cents,
    -- an older answer without list amounts tells of no discount: the list amount is what was paid
    coalesce(list_amount, amount) as list_amount_cents,
    list_amount is not null as is_list_amount_known,
    coalesce(currency, 'USD') as currency
from listed_once
where listing_rank = 1
