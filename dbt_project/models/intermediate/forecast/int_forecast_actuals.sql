{{ config(materialized="table") }}

with
    spend as (
        select
            organization_id,
            scope,
            scope_value,
            cast(date_trunc('month', activity_date) as date) as month,
            activity_date,
            amount_usd
        from {{ ref("int_daily_spend_series") }}
        where scope in {{ forecast_scopes() }}
    )

select
    {{ forecast_key("series.") }},
    any_value(series.month) as month,
    any_value(series.is_newest) as is_newest,
    cast(
        coalesce(
            sum(case when spend.activity_date <= series.forecast_date then spend.amount_usd end), 0
        ) as decimal(38, 14)
    ) as actual_to_date_usd,
    cast(coalesce(sum(spend.amount_usd), 0) as decimal(38, 14)) as month_usd
from {{ ref("int_forecast_series") }} as series
left join
    spend
    on series.organization_id = spend.organization_id
    and series.scope = spend.scope
    and series.scope_value = spend.scope_value
    and series.month = spend.month
group by {{ forecast_key("series.") }}
