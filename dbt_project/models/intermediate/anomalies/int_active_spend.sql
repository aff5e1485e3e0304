{{ config(materialized="ephemeral") }}

with
    series as (
        select organization_id, scope, scope_value, activity_date, amount_usd, total_tokens
        from {{ ref("int_daily_spend_series") }}
        -- a level from 56 days, as it was 42 days ago, of days compared with the 56 before them
        where scope in ('user', 'user_product') and is_complete and {{ is_touched(days_before=154) }}
    ),

    metrics as (
        select
            organization_id,
            scope,
            scope_value,
            activity_date,
            'amount_usd' as metric,
            cast(amount_usd as decimal(38, 14)) as amount
        from series
        where amount_usd > 0.01
        union all
        select
            organization_id,
            scope,
            scope_value,
            activity_date,
            'total_tokens' as metric,
            cast(total_tokens as decimal(38, 14)) as amount
        from series
        where total_tokens > 0
    )

select
    organization_id,
    scope,
    scope_value,
    -- what somebody spends on a product is compared with what others spend on it
    case
        when scope = 'user_product' then substr(scope_value, strpos(scope_value, '/') + 1) else ''
    end as peer_group,
    metric,
    activity_date,
    -- windows over integers take a third of the time of windows over dates
    activity_date - date '2020-01-01' as day_number,
    amount,
    ln(cast(amount as double)) as log_amount
from metrics
