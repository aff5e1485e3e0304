with
    compared as (
        select
            spend.organization_id,
            spend.activity_date,
            spend.user_id,
            spend.amount_usd,
            ln(cast(spend.amount_usd as double)) as log_amount,
            coalesce(levels.level_days, 0) as level_days,
            levels.own_level,
            levels.own_spread,
            levels.mean_before,
            peers.peer_level,
            peers.tail
        from {{ ref("spend_today") }} as spend
        inner join {{ ref("int_today_peers") }} as peers using (organization_id)
        left join {{ ref("int_today_levels") }} as levels using (organization_id, user_id)
        where spend.attribution = 'user' and spend.amount_usd > 0.01
    ),

    -- a day that has not ended may lie below the others for that alone
    shifts as (
        select organization_id, greatest(0, {{ common_shift("log_amount - mean_before") }}) as common_shift
        from compared
        where level_days >= 10
        group by organization_id
    ),

    levels as (
        select
            compared.*,
            coalesce(shifts.common_shift, 0)
            + {{ spend_level("level_days", "own_level", "peer_level") }} as level,
            {{ spend_spread("level_days", "own_spread") }} as spread
        from compared
        left join shifts using (organization_id)
    ),

    measured as (select *, {{ spike_deviation("level_days", "spread", "tail") }} as deviation from levels)

select
    organization_id,
    activity_date,
    user_id,
    level_days,
    amount_usd as actual,
    (log_amount - level) / deviation as score,
    exp(level) as expected,
    -- the range of four days in five
    exp(level - 1.2816 * deviation) as low,
    exp(level + 1.2816 * deviation) as high
from measured
