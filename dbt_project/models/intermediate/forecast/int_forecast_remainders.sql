{{ config(materialized="table") }}

with
    -- what is left of the month: days that are still to come, and earlier ones whose cost is not wholly known
    days_left as (
        select
            dates.organization_id,
            dates.of_users,
            dates.forecast_date,
            days.activity_date,
            days.day_class,
            days.activity_date < dates.forecast_date as is_past,
            (days.activity_date - dates.forecast_date - 0.5) / 7 as weeks_ahead
        from {{ ref("int_forecast_dates") }} as dates
        inner join
            {{ ref("int_forecast_days") }} as days
            on dates.organization_id = days.organization_id
            and dates.month = days.month
            and (days.activity_date > dates.forecast_date or not days.is_known)
    ),

    -- of a day that is not whole, the part that is known
    parts as (
        select organization_id, scope, scope_value, activity_date, cast(amount_usd as double) as part
        from {{ ref("int_daily_spend_series") }}
        where not is_complete and scope in {{ forecast_scopes() }}
    ),

    expected_days as (
        select
            {{ forecast_key("levels.") }},
            case
                days_left.day_class
                {% for one in range(1, 8) %} when {{ one }} then profiles.share_{{ one }} {% endfor %}
            end
            * levels.level
            -- spikes come again, though not all of them
            * sqrt(profiles.spike_ratio)
            * exp(levels.trend * days_left.weeks_ahead) as expected,
            case when days_left.is_past then coalesce(parts.part, 0) else 0 end as part
        from {{ ref("int_forecast_levels") }} as levels
        inner join {{ ref("int_forecast_profiles") }} as profiles using ({{ forecast_key() }})
        inner join days_left using (organization_id, of_users, forecast_date)
        left join
            parts
            on levels.organization_id = parts.organization_id
            and levels.scope = parts.scope
            and levels.scope_value = parts.scope_value
            and days_left.activity_date = parts.activity_date
    ),

    remainders as (
        select {{ forecast_key() }}, sum(greatest(expected - part, 0)) as remainder, count(*) as day_count
        from expected_days
        group by {{ forecast_key() }}
    ),

    horizons as (
        select *, coalesce(day_count, 0) as days_left, coalesce(day_count, 0) / 14 + 0.5 as weeks_to_middle
        from {{ ref("int_forecast_levels") }}
        left join remainders using ({{ forecast_key() }})
    )

select
    {{ forecast_key() }},
    days_left,
    coalesce(remainder, 0) as remainder,
    level,
    trend,
    week_count,
    -- standard error of the remainder, as a part of it: level, scatter of the days left, trend, drift
    sqrt(
        variance * (level_weight + coalesce(7 / nullif(days_left, 0), 0))
        + trend_uncertainty * weeks_to_middle ^ 2
        + {{ var("forecast").drift }} ^ 2 * weeks_to_middle
    ) as standard_error
from horizons
