{{ config(meta={"dagster": {"ref": {"name": "fct_claude_costs"}}}) }}

-- the invariant everything rests on, for the days written since it last held:
-- the lines of a day add up to the ungrouped total
with
    days as (
        select organization_id, activity_date, total_cents, list_total_cents
        from {{ get_where_subquery(ref("cost_reconciliation")) }}
    ),

    fact as (
        select
            organization_id,
            activity_date,
            sum(amount_cents) as amount_cents,
            sum(list_amount_cents) as list_amount_cents
        from {{ ref("fct_claude_costs") }}
        where activity_date in (select activity_date from days)
        group by organization_id, activity_date
    )

select
    coalesce(days.organization_id, fact.organization_id) as organization_id,
    coalesce(days.activity_date, fact.activity_date) as activity_date,
    days.total_cents,
    days.list_total_cents,
    fact.amount_cents,
    fact.list_amount_cents
from days
full outer join
    fact on days.organization_id = fact.organization_id and days.activity_date = fact.activity_date
where
    coalesce(days.total_cents, 0) <> coalesce(fact.amount_cents, 0)
    or coalesce(days.list_total_cents, 0) <> coalesce(fact.list_amount_cents, 0)
