{%- set thresholds = [30, 60, 90] %}

with
    days as (
        select *, row_number() over (partition by organization_id order by activity_date desc) as newest_rank
        from {{ ref("int_engagement_days") }}
    ),

    users as (select * from {{ ref("int_known_users") }} where not is_deleted),

    dated as (
        select
            users.*,
            days.activity_date as as_of_date,
            days.activity_date - users.last_known_activity_date as idle_day_count,
            {% for threshold in thresholds %}
                days.has_last_{{ threshold }}_days{{ "," if not loop.last }}
            {% endfor %}
        from users
        inner join days on users.organization_id = days.organization_id and days.newest_rank = 1
    )

select
    organization_id,
    user_id,
    as_of_date,
    first_known_activity_date,
    last_known_activity_date,
    idle_day_count,
    {% for threshold in thresholds %}
        -- a day that is not known may hold an activity
        case
            when idle_day_count < {{ threshold }} then false when has_last_{{ threshold }}_days then true
        end as is_idle_{{ threshold }}_days{{ "," if not loop.last }}
    {% endfor %}
from dated
