select
    organization_id,
    user_id,
    count(*) as level_days,
    median(logarithm) as own_level,
    1.4826 * mad(logarithm) as own_spread,
    avg(logarithm) as mean_before,
    stddev_pop(logarithm) as deviation_before
from {{ ref("int_today_history") }}
group by organization_id, user_id
