select
    organization_id,
    activity_date,
    valid_from,
    valid_to,
    user_id,
    {{ cost_dimensions() }},
    {{ sums_of(["amount_cents", "list_amount_cents"]) }}
from {{ ref("int_user_cost_rows") }}
group by organization_id, activity_date, valid_from, valid_to, user_id, {{ cost_dimensions() }}
