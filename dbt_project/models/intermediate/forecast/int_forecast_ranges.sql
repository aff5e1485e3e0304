{%- set settings = var("forecast") %}

with
    forecasts as (
        select *, day(forecast_date) as day_of_month
        from {{ ref("int_forecast_actuals") }}
        inner join {{ ref("int_forecast_remainders") }} using ({{ forecast_key() }})
    ),

    whole_months as (
        select organization_id, month
        from {{ ref("int_forecast_days") }}
        group by organization_id, month
        having count(case when is_known then 1 end) = day(last_day(month))
    ),

    -- how many of its standard errors each forecast of a month that is over was off
    scores as (
        select
            organization_id,
            scope,
            month,
            day_of_month,
            abs(cast(month_usd - actual_to_date_usd as double) - remainder)
            / (remainder * standard_error) as score
        from forecasts
        inner join whole_months using (organization_id, month)
        where remainder > 0
    ),

    targets as (select distinct organization_id, scope, month, day_of_month from forecasts),

    pooled as (
        select
            targets.organization_id,
            targets.scope,
            targets.month,
            targets.day_of_month,
            count(distinct scores.month) as month_count,
            count(*) as score_count,
            quantile_cont(scores.score, {{ settings.coverage }}) as score
        from targets
        inner join
            scores
            on targets.organization_id = scores.organization_id
            and targets.scope = scores.scope
            and targets.month > scores.month
            -- a shorter month is over before that day: the last day on which there was something to forecast
            and scores.day_of_month = least(targets.day_of_month, day(last_day(scores.month)) - 1)
        group by targets.organization_id, targets.scope, targets.month, targets.day_of_month
    )

-- few scores are drawn towards what is usual
select
    organization_id,
    scope,
    month,
    day_of_month,
    month_count,
    (score * score_count + {{ settings.usual_score }} * {{ settings.usual_scores }})
    / (score_count + {{ settings.usual_scores }}) as standard_errors
from pooled
where month_count >= {{ settings.range_months }}
