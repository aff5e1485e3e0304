with pulls as ({{ engagement_pulls("users") }})

select
    organization_id,
    activity_date,
    fetched_at,
    finality,
    {% for days in [7, 30, 60, 90] %}
        -- every day of the last {{ days }}, this one included, is held
        count(*) over (
            partition by organization_id
            order by activity_date range between interval {{ days - 1 }} day preceding and current row
        )
        = {{ days }} as has_last_{{ days }}_days,
    {% endfor %}
    count(*) over (
        partition by organization_id
        order by activity_date range between interval 30 day preceding and interval 1 day preceding
    )
    = 30 as has_30_days_before
from pulls
