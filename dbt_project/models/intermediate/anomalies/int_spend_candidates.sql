{{ config(materialized="ephemeral") }}

{%- set day = "organization_id, scope, scope_value, peer_group, metric, activity_date, day_number" %}

with
    windows as (
        select *
        from {{ ref("int_spend_windows") }}
        inner join {{ ref("int_anomaly_floors") }} using (metric)
        where {{ is_touched() }}
    )

-- a day far above the days before, or without enough of them to compare with
select {{ day }}, 'spike' as kind, day_number as level_day, 1 as window_days, 1 as active_days, amount
from windows
where amount >= floor_amount and (days_before < 5 or log_own - mean_before >= 0.4)
union all
-- a week far above the days before it
select
    {{ day }},
    'sustained' as kind,
    first_7 as level_day,
    7 as window_days,
    days_7 as active_days,
    amount_7 as amount
from windows
where amount_7 >= 2.5 * floor_amount and days_7 >= 3 and mean_7 - mean_before_7 >= 0.4
union all
-- four weeks far above what was six weeks ago, where a climb does not yet raise the level
select
    {{ day }},
    'chronic' as kind,
    first_42 as level_day,
    28 as window_days,
    days_28 as active_days,
    amount_28 as amount
from windows
where amount_28 >= 5 * floor_amount and days_28 >= 6 and mean_28 - mean_before_42 >= 0.4
