{{ config(materialized="table") }}
{%- set settings = var("forecast") %}

with
    steps as (
        select
            *,
            log_total
            - lag(log_total) over (partition by {{ forecast_key() }} order by weeks_back) as log_step
        from {{ ref("int_forecast_weeks") }}
    ),

    sums as (
        select
            {{ forecast_key() }},
            count(*) as week_count,
            regr_sxx(log_total, weeks_back) as week_squares,
            regr_syy(log_total, weeks_back) as log_squares,
            regr_sxy(log_total, weeks_back) as products,
            -- the median step between weeks that only scatter: a leap to another level is no noise
            coalesce(median(abs(log_step)), 0) / (0.6745 * sqrt(2)) as step_noise,
            {{ forecast_noise() }} ^ 2 as usual_variance
        from steps
        group by {{ forecast_key() }}
    ),

    -- the straight line through the logarithms of the weeks, and what they scatter beside it
    lines as (
        select
            *,
            coalesce(- products / nullif(week_squares, 0), 0) as slope,
            greatest(log_squares - coalesce(products ^ 2 / nullif(week_squares, 0), 0), 0) as residual_squares
        from sums
    ),

    -- what is usual in the scope counts as some weeks more
    variances as (
        select
            *,
            (residual_squares + {{ settings.usual_weeks }} * usual_variance)
            / (greatest(week_count - 2, 0) + {{ settings.usual_weeks }}) as variance,
            ((week_count - 1) * step_noise ^ 2 + {{ settings.usual_weeks }} * usual_variance)
            / (week_count - 1 + {{ settings.usual_weeks }}) as step_variance,
            {{ settings.trend }} ^ 2 as trend_variance
        from lines
    ),

    signals as (
        select
            *,
            variance / nullif(week_squares, 0) as slope_variance,
            {{ settings.drift }} ^ 2 / step_variance as signal
        from variances
    ),

    -- a slope counts as far as it stands out from the scatter
    trends as (
        select
            *,
            case
                when week_count >= {{ settings.trend_weeks }}
                then trend_variance / (trend_variance + slope_variance)
                else 0
            end as trend_weight
        from signals
    )

select
    {{ forecast_key() }},
    week_count,
    slope * trend_weight as trend,
    trend_variance * (1 - trend_weight) as trend_uncertainty,
    variance,
    step_variance,
    -- the best weight of the newest week, when a level drifts and its weeks scatter
    greatest((sqrt(signal ^ 2 + 4 * signal) - signal) / 2, {{ settings.least_gain }}) as gain
from trends
