{{ config(materialized="ephemeral") }}

select
    *,
    count(*) over before as days_before,
    avg(log_own) over before as mean_before,
    stddev_pop(log_own) over before as deviation_before,

    sum(amount) over last_7 as amount_7,
    count(*) over last_7 as days_7,
    avg(log_own) over last_7 as mean_7,
    min(day_number) over last_7 as first_7,
    avg(log_own) over before_7 as mean_before_7,

    sum(amount) over last_28 as amount_28,
    count(*) over last_28 as days_28,
    avg(log_own) over last_28 as mean_28,
    min(day_number) over last_42 as first_42,
    avg(log_own) over before_42 as mean_before_42
from {{ ref("int_own_spend") }}
window
    series as (partition by organization_id, scope, scope_value, metric order by day_number),
    before as (series range between 56 preceding and 1 preceding),
    last_7 as (series range between 6 preceding and current row),
    before_7 as (series range between 63 preceding and 7 preceding),
    last_28 as (series range between 27 preceding and current row),
    last_42 as (series range between 41 preceding and current row),
    before_42 as (series range between 98 preceding and 42 preceding)
