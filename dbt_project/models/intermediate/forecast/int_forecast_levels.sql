with
    weighted as (
        select
            {{ forecast_key() }},
            any_value(trends.week_count) as week_count,
            any_value(trends.trend) as trend,
            any_value(trends.trend_uncertainty) as trend_uncertainty,
            any_value(trends.variance) as variance,
            any_value(trends.step_variance) as step_variance,
            sum((1 - trends.gain) ^ weeks.weeks_back) as weight,
            sum((1 - trends.gain) ^ (2 * weeks.weeks_back)) as weight_squares,
            -- each week as it would be today
            sum(
                (1 - trends.gain) ^ weeks.weeks_back
                * weeks.week_total
                * exp(trends.trend * (weeks.weeks_back + 0.5))
            ) as weighted_total,
            max(
                case when weeks.weeks_back = 0 then weeks.newest_log_total + trends.trend / 2 end
            ) as newest_log_total
        from {{ ref("int_forecast_weeks") }} as weeks
        inner join {{ ref("int_forecast_trends") }} as trends using ({{ forecast_key() }})
        group by {{ forecast_key() }}
    ),

    levels as (select *, greatest(weighted_total / weight, 0) as level from weighted),

    -- a person's quiet week is no new level
    distances as (
        select
            *,
            case
                when scope <> 'user' and newest_log_total is not null and level > 0
                then newest_log_total - ln(level)
                else 0
            end as distance
        from levels
    )

select
    {{ forecast_key() }},
    week_count,
    trend,
    trend_uncertainty,
    variance,
    weight_squares / weight ^ 2 as level_weight,
    -- a newest week that is far beyond the noise is a new level
    level
    * exp(distance * distance ^ 2 / (distance ^ 2 + {{ var("forecast").leap }} ^ 2 * step_variance)) as level
from distances
