{%- set key = ["organization_id", "budget_id", "scope_value", "period_start"] %}

with
    periods as (select * from {{ ref("int_budget_periods") }}),

    spent as (
        select
            {% for column in key %} periods.{{ column }}, {% endfor %}
            periods.limit_cents,
            periods.warn_percents,
            -- no line is no cost on the days that are known; the others are counted beside it
            coalesce(sum(spend.amount_cents), 0) as spent_cents
        from periods
        left join
            {{ ref("int_budget_spend") }} as spend on {{ counts_towards_period() }} and spend.valid_to is null
        group by all
    ),

    thresholds as (select *, unnest(warn_percents) as threshold_percent from spent),

    crossed as (
        select {{ key | join(", ") }}, max(threshold_percent) as threshold_crossed
        from thresholds
        where {{ reaches_percent("spent_cents", "threshold_percent", "limit_cents") }}
        group by {{ key | join(", ") }}
    ),

    -- of the running month; one that is over needs none
    forecasts as (
        select
            organization_id,
            scope,
            scope_value,
            month as period_start,
            forecast_date,
            forecast_usd,
            low_usd,
            high_usd
        from {{ ref("spend_forecast") }}
        where is_newest
    ),

    forecast_periods as (
        select
            periods.*, forecasts.forecast_date, forecasts.forecast_usd, forecasts.low_usd, forecasts.high_usd
        from periods
        left join
            forecasts
            on periods.has_forecast
            and periods.period = 'monthly'
            and periods.organization_id = forecasts.organization_id
            and periods.scope = forecasts.scope
            and periods.scope_value = forecasts.scope_value
            and periods.period_start = forecasts.period_start
    )

select
    periods.organization_id,
    periods.budget_id,
    periods.scope,
    periods.scope_value,
    periods.period,
    periods.period_start,
    periods.period_end,
    cast(date_trunc('month', periods.period_start) as date) as month,
    periods.newest_date,
    periods.limit_usd,
    {{ cents_to_usd("spent.spent_cents") }} as spent_usd,
    {{ divide_rounded("spent.spent_cents", "spent.limit_cents", multiplier=100, digits=4) }} as percent_used,
    periods.forecast_date,
    periods.forecast_usd,
    periods.low_usd as forecast_low_usd,
    periods.high_usd as forecast_high_usd,
    crossed.threshold_crossed,
    case
        when spent.spent_cents > spent.limit_cents
        then 'exceeded'
        when periods.forecast_usd > periods.limit_usd
        then 'forecast_exceeded'
        when crossed.threshold_crossed is not null
        then 'warning'
        else 'ok'
    end as status,
    periods.known_day_count,
    periods.provisional_day_count,
    periods.unknown_day_count,
    periods.first_unknown_date,
    periods.finality
from forecast_periods as periods
inner join spent using ({{ key | join(", ") }})
left join crossed using ({{ key | join(", ") }})
