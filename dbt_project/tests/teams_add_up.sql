{{ config(meta={"dagster": {"ref": {"name": "team_monthly_chargeback"}}}) }}

-- against the products' costs, which add up to the facts and are fewer rows
with
    totals as (
        select
            organization_id,
            activity_date,
            cast(date_trunc('month', activity_date) as date) as month,
            coalesce(sum(amount_cents), 0) as total_cents,
            coalesce(sum(list_amount_cents), 0) as list_total_cents
        from {{ ref("product_daily_spend") }}
        group by organization_id, activity_date
    ),

    daily as (
        select
            organization_id,
            activity_date,
            coalesce(sum(amount_cents), 0) as amount_cents,
            coalesce(sum(list_amount_cents), 0) as list_amount_cents
        from {{ ref("team_daily_spend") }}
        group by organization_id, activity_date
    ),

    total_months as (
        select organization_id, month, sum(total_cents) as total_cents
        from totals
        group by organization_id, month
    ),

    monthly as (
        select organization_id, month, coalesce(sum(amount_cents), 0) as amount_cents
        from {{ ref("team_monthly_chargeback") }}
        group by organization_id, month
    )

select organization_id, activity_date
from totals
full outer join daily using (organization_id, activity_date)
where
    coalesce(totals.total_cents, 0) <> coalesce(daily.amount_cents, 0)
    or coalesce(totals.list_total_cents, 0) <> coalesce(daily.list_amount_cents, 0)
union all
select organization_id, month
from total_months
full outer join monthly using (organization_id, month)
where coalesce(total_months.total_cents, 0) <> coalesce(monthly.amount_cents, 0)
