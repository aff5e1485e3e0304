with
    series as (
        select organization_id, scope, scope_value, activity_date, amount_usd, total_tokens, is_complete
        from {{ ref("int_daily_spend_series") }}
        where scope in ('organization', 'product', 'model')
    ),

    days as (select organization_id, activity_date from series where scope = 'organization' and is_complete),

    segments as (
        select organization_id, scope, scope_value, min(activity_date) as first_date
        from series
        where amount_usd > 0 or total_tokens > 0
        group by organization_id, scope, scope_value
    ),

    -- on a complete day, no row is zero
    amounts as (
        select
            segments.organization_id,
            segments.scope,
            segments.scope_value,
            segments.first_date,
            days.activity_date,
            coalesce(series.amount_usd, 0) as amount_usd,
            case when series.organization_id is null then 0 else series.total_tokens end as total_tokens
        from segments
        inner join
            days
            on segments.organization_id = days.organization_id
            and days.activity_date >= segments.first_date
        left join
            series
            on segments.organization_id = series.organization_id
            and segments.scope = series.scope
            and segments.scope_value = series.scope_value
            and days.activity_date = series.activity_date
    ),

    metrics as (
        select
            organization_id,
            scope,
            scope_value,
            first_date,
            activity_date,
            unnest(['amount_usd', 'total_tokens']) as metric,
            unnest([cast(amount_usd as decimal(38, 14)), cast(total_tokens as decimal(38, 14))]) as amount
        from amounts
    ),

    -- a holiday is no usual day
    measured as (
        select
            metrics.*,
            count(amount) filter (where holiday is null) over before as level_days,
            avg(cast(amount as double)) filter (where holiday is null) over before as expected,
            stddev_samp(cast(amount as double)) filter (where holiday is null) over before as deviation
        from metrics
        left join {{ ref("stg_holidays") }} as holidays on metrics.activity_date = holidays.holiday
        where amount is not null
        window
            before as (
                partition by organization_id, scope, scope_value, metric
                order by
                    metrics.activity_date
                    range between interval 30 days preceding and interval 1 day preceding
            )
    )

select
    organization_id,
    scope,
    scope_value,
    metric,
    activity_date,
    level_days,
    amount as actual,
    deviation,
    (amount - expected) / nullif(deviation, 0) as score,
    expected,
    greatest(0, expected - 1.2816 * deviation) as low,
    expected + 1.2816 * deviation as high
from measured
where
    level_days >= 14
    -- a product or model that is new has no usual day yet
    and (scope = 'organization' or activity_date >= first_date + interval 45 days)
