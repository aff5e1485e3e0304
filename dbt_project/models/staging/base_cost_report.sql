with source as (select * from {{ source("claude_raw", "cost_report") }}), {{ told_once(cost_dimensions()) }}

select
    pull_id,
    organization_id,
    activity_date,
    grain,
    query = 'detail' as is_whole_detail,
    {{ cost_dimensions() }},
    amount as amount_cents,
    -- an older answer without list amounts tells of no discount: the list amount is what was paid
    coalesce(list_amount, amount) as list_amount_cents,
    list_amount is not null as is_list_amount_known,
    coalesce(currency, 'USD') as currency
from told_once
