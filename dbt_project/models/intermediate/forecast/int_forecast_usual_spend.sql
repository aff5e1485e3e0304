{{ config(materialized="table") }}
{%- set settings = var("forecast") %}

with
    spend as (
        select
            organization_id,
            series.scope,
            series.scope_value,
            activity_date,
            activity_date - date '2020-01-01' as day_number,
            days.day_class > 5 as is_day_off,
            cast(series.amount_usd as double) as spent,
            case when series.amount_usd > 0 then ln(cast(series.amount_usd as double)) end as log_spent,
            {{ forecast_noise() }} ^ 2 as usual_variance
        from {{ ref("int_daily_spend_series") }} as series
        inner join {{ ref("int_forecast_days") }} as days using (organization_id, activity_date)
        where days.is_known and series.scope in {{ forecast_scopes() }}
    ),

    -- compared with the days before only: what is usual on a day never changes afterwards
    before as (
        select
            *,
            count(log_spent) over earlier as day_count,
            avg(log_spent) over earlier as log_mean,
            var_pop(log_spent) over earlier as log_variance
        from spend
        window
            earlier as (
                partition by organization_id, scope, scope_value, is_day_off
                order by day_number range between {{ settings.spike_days }} preceding and 1 preceding
            )
    ),

    limited as (
        select
            *,
            case
                when day_count >= {{ settings.least_spike_days }}
                then
                    log_mean
                    + {{ settings.spike }}
                    * sqrt(
                        (day_count * log_variance + {{ settings.usual_spike_days }} * usual_variance)
                        / (day_count + {{ settings.usual_spike_days }})
                    )
            end as log_limit
        from before
    )

select
    organization_id,
    scope,
    scope_value,
    activity_date,
    spent,
    case when log_spent > log_limit then exp(log_limit) else spent end as usual
from limited
