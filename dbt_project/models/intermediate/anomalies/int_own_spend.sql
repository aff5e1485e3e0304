{{ config(materialized="ephemeral") }}

select
    spend.*,
    coalesce(shifts.common_shift, 0) as common_shift,
    spend.log_amount - coalesce(shifts.common_shift, 0) as log_own
from {{ ref("int_active_spend") }} as spend
left join
    {{ ref("int_common_shifts") }} as shifts using (organization_id, scope, peer_group, metric, day_number)
