-- the invariant everything rests on, for the days of the newest build: the lines of a day add up to the
-- ungrouped total
with
    days as (
        select organization_id, activity_date, total_cents, list_total_cents
        from {{ ref("cost_reconciliation") }}
        where
            built_through_sequence
            = (select max(built_through_sequence) from {{ ref("cost_reconciliation") }})
    ),

    said as (
        select
            organization_id,
            activity_date,
            sum(amount_cents) as amount_cents,
            sum(list_amount_cents) as list_amount_cents
        from {{ ref("fct_claude_costs") }}
        where activity_date >= (select min(activity_date) from days)
        group by organization_id, activity_date
    )

select days.*, said.amount_cents, said.list_amount_cents
from days
left join said on days.organization_id = said.organization_id and days.activity_date = said.activity_date
where
    coalesce(days.total_cents, 0) <> coalesce(said.amount_cents, 0)
    or coalesce(days.list_total_cents, 0) <> coalesce(said.list_amount_cents, 0)
