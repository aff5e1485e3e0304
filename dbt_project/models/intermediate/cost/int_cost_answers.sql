with {{ one_row_per_key(ref("stg_cost_report"), cost_dimensions()) }}

select
    pull_id,
    organization_id,
    activity_date,
    grain,
    query = 'detail' as is_whole_detail,
    {{ cost_dimensions() }},
    amount_cents,
    list_amount_cents,
    is_list_amount_known,
    currency
from one_row_per_key
