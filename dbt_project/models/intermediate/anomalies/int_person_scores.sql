{{
    config(
        materialized="incremental",
        incremental_strategy="replace_days",
        meta={
            "endpoints": ["user_cost_report", "cost_report", "user_usage_report", "usage_report"],
            "rows_per_range": 7000000,
        },
    )
}}
{%- set series = "organization_id, scope, scope_value, metric" %}
{%- set peers = "organization_id, scope, peer_group, metric" %}

with
    candidates as (select * from {{ ref("int_spend_candidates") }}),

    -- median and spread of the active days in the 56 days before the window began
    own_levels as (
        select
            {{ series }},
            level_day,
            count(*) as level_days,
            median(log_own) as own_level,
            1.4826 * mad(log_own) as own_spread
        from (select distinct {{ series }}, level_day from candidates) as candidates
        inner join {{ ref("int_own_spend") }} as spend using ({{ series }})
        where spend.day_number between level_day - 56 and level_day - 1
        group by {{ series }}, level_day
    ),

    levels as (
        select
            candidates.*,
            coalesce(level_days, 0) as level_days,
            then_peers.peer_level,
            {{ spend_level("level_days", "own_level", "then_peers.peer_level") }} as level,
            {{ spend_spread("level_days", "own_spread") }} as spread,
            now_peers.peer_level as now_peer_level,
            coalesce(tails.tail, 1) as tail
        from candidates
        left join own_levels using ({{ series }}, level_day)
        left join {{ ref("int_spend_tails") }} as tails using (organization_id, scope, metric, day_number)
        inner join {{ ref("int_spend_peers") }} as now_peers using ({{ peers }}, day_number)
        inner join
            {{ ref("int_spend_peers") }} as then_peers
            on candidates.organization_id = then_peers.organization_id
            and candidates.scope = then_peers.scope
            and candidates.peer_group = then_peers.peer_group
            and candidates.metric = then_peers.metric
            and candidates.level_day = then_peers.day_number
        where kind = 'spike' or level_days >= 5
    ),

    -- in a window of days, one day counts for three spreads at most
    windows as (
        select
            {{ series }},
            kind,
            levels.day_number,
            avg(spend.common_shift) as common_shift,
            avg(
                case
                    when kind = 'spike'
                    then log_own
                    else greatest(least(log_own, level + 3 * spread), level - 3 * spread)
                end
            ) as mean_log
        from levels
        inner join {{ ref("int_own_spend") }} as spend using ({{ series }})
        where spend.day_number between levels.day_number - window_days + 1 and levels.day_number
        group by {{ series }}, kind, levels.day_number
    ),

    measured as (
        select
            *,
            -- what the peers have climbed as well is nobody's own
            mean_log
            - level
            - case when kind = 'chronic' then greatest(0, now_peer_level - peer_level) else 0 end as excess,
            case
                when kind = 'spike'
                then {{ spike_deviation("level_days", "spread", "tail") }}
                else
                    spread * sqrt(1.5 / active_days + 0.64 * 9 / power(level_days + 3, 2) + 1.57 / level_days)
            end as deviation
        from levels
        inner join windows using ({{ series }}, kind, day_number)
    )

select
    {{ series }},
    activity_date,
    kind,
    window_days,
    active_days,
    level_days,
    amount as actual,
    excess / deviation as score,
    active_days * exp(level + common_shift) as expected,
    -- the range of four days in five
    active_days * exp(level + common_shift - 1.2816 * deviation) as low,
    active_days * exp(level + common_shift + 1.2816 * deviation) as high,
    {{ built_through_sequence(["user_daily_spend", "int_user_spend_lines"]) }} as built_through_sequence
from measured
-- the others are nowhere near a threshold
where {{ is_touched() }} and excess >= 2.5 * deviation
