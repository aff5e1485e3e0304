select
    looks.organization_id,
    amounts.starting_at as hour,
    amounts.amount_cents,
    amounts.list_amount_cents,
    looks.look_id,
    looks.look_sequence,
    coalesce(looks.data_refreshed_at, looks.looked_at) as seen_through
from {{ ref("stg_watch_amounts") }} as amounts
inner join {{ ref("stg_watch_looks") }} as looks using (look_id)
where amounts.query = 'total' and looks.status = 'complete'
qualify
    row_number() over (
        partition by looks.organization_id, amounts.starting_at order by looks.look_sequence desc
    )
    = 1
