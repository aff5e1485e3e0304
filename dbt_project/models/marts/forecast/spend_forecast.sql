with
    forecasts as (
        select
            {{ forecast_key("actuals.") }},
            actuals.month,
            actuals.is_newest,
            actuals.actual_to_date_usd,
            remainders.remainder,
            remainders.days_left,
            remainders.trend,
            remainders.week_count,
            remainders.standard_error,
            ranges.month_count,
            -- without anything left there is nothing to be wrong about
            case when remainders.days_left = 0 then 0 else ranges.standard_errors end as standard_errors
        from {{ ref("int_forecast_actuals") }} as actuals
        inner join {{ ref("int_forecast_remainders") }} as remainders using ({{ forecast_key() }})
        left join
            {{ ref("int_forecast_ranges") }} as ranges
            on actuals.organization_id = ranges.organization_id
            and actuals.scope = ranges.scope
            and actuals.month = ranges.month
            and day(actuals.forecast_date) = ranges.day_of_month
        where remainders.remainder > 0 or actuals.actual_to_date_usd <> 0
    ),

    unknown_days as (
        select
            dates.organization_id,
            dates.forecast_date,
            count(case when not days.is_known then 1 end) as unknown_day_count
        from {{ ref("int_forecast_dates") }} as dates
        inner join
            {{ ref("int_forecast_days") }} as days
            on dates.organization_id = days.organization_id
            and dates.month = days.month
            and days.activity_date <= dates.forecast_date
        where not dates.of_users
        group by dates.organization_id, dates.forecast_date
    ),

    -- null without a range, which `greatest` would pass over
    widths as (select *, standard_errors * standard_error as width from forecasts),

    rounded as (
        select
            *,
            {{ forecast_usd("remainder") }} as remainder_usd,
            {{ forecast_usd("remainder * case when width > 1 then 0 else 1 - width end") }}
            as low_remainder_usd,
            {{ forecast_usd("remainder * (1 + width)") }} as high_remainder_usd
        from widths
    )

select
    organization_id,
    month,
    scope,
    scope_value,
    forecast_date,
    is_newest,
    actual_to_date_usd,
    cast(actual_to_date_usd + remainder_usd as decimal(38, 14)) as forecast_usd,
    cast(actual_to_date_usd + low_remainder_usd as decimal(38, 14)) as low_usd,
    cast(actual_to_date_usd + high_remainder_usd as decimal(38, 14)) as high_usd,
    case when standard_errors is null then 'insufficient_history' else 'calibrated' end as interval_status,
    coalesce(month_count, 0) as range_month_count,
    remainder_usd as remaining_usd,
    round(exp(trend) - 1, 6) as weekly_growth_rate,
    week_count as history_week_count,
    unknown_day_count,
    days_left - unknown_day_count as remaining_day_count
from rounded
inner join unknown_days using (organization_id, forecast_date)
