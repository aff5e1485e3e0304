with
    -- the one step from statistics to amounts
    runaways as (
        select
            scores.* replace (
                {{ statistic_usd("expected") }} as expected,
                {{ statistic_usd("low") }} as low,
                {{ statistic_usd("high") }} as high
            )
        from {{ ref("int_today_scores") }} as scores
        cross join {{ ref("int_anomaly_floors") }} as floors
        where
            floors.metric = 'amount_usd'
            and score > {{ spike_score() }} * threshold_factor
            and actual - expected >= floor_amount
    )

select
    organization_id,
    runaways.activity_date,
    'user' as scope,
    user_id as scope_value,
    'amount_usd' as metric,
    runaways.actual,
    runaways.expected,
    runaways.low,
    runaways.high,
    runaways.score,
    runaways.actual - runaways.expected as impact_usd,
    'up' as direction,
    'runaway' as kind,
    -- the incident that begins on this day: once the day is pulled, its spike has the same
    {{ incident_id("organization_id", "'user'", "user_id", "'amount_usd'", "runaways.activity_date") }}
    as incident_id,
    coalesce(spend.email, spend.name, user_id)
    || ' has spent '
    || {{ usd_text("runaways.actual") }}
    || strftime(runaways.activity_date, ' so far on %-d %b')
    || coalesce(strftime(spend.data_refreshed_at, ' (up to %H:%M UTC)'), '')
    || ', a whole day is usually '
    || {{ usd_text("runaways.low") }}
    || ' to '
    || {{ usd_text("runaways.high") }}
    || coalesce(
        '; '
        || {{ usd_text("hours.top_usd") }}
        || ' of it is '
        || coalesce(hours.top_model, 'use without a model')
        || coalesce(' in ' || hours.top_product, '')
        || strftime(hours.since_hour, ', since %H:%M UTC'),
        ''
    ) as reason,
    'open' as status,
    hours.top_product,
    hours.top_model,
    hours.top_usd,
    hours.since_hour,
    spend.data_refreshed_at,
    spend.looked_at,
    spend.finality
from runaways
inner join {{ ref("spend_today") }} as spend using (organization_id, user_id)
left join {{ ref("int_runaway_hours") }} as hours using (organization_id, user_id)
