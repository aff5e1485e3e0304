-- People are counted as intervals that begin with an activity and end 7 or 30 days later: one pass over the
-- user-days
-- instead of a self-join of every day with its 30.
with
    days as (select * from {{ ref("int_engagement_days") }}),

    user_days as (select organization_id, activity_date, user_id from {{ ref("user_daily_engagement") }}),

    steps as (
        select organization_id, user_id, activity_date as step_date, 1 as today, 1 as last_7, 1 as last_30
        from user_days
        union all
        select organization_id, user_id, activity_date + 1, -1, 0, 0
        from user_days
        union all
        select organization_id, user_id, activity_date + 7, 0, -1, 0
        from user_days
        union all
        select organization_id, user_id, activity_date + 30, 0, 0, -1
        from user_days
    ),

    user_steps as (
        select
            organization_id,
            user_id,
            step_date,
            sum(today) as today,
            sum(last_7) as last_7,
            sum(last_30) as last_30
        from steps
        group by organization_id, user_id, step_date
    ),

    active_days as (
        select
            organization_id,
            user_id,
            step_date,
            sum(today) over earlier_steps as today,
            sum(last_7) over earlier_steps as last_7,
            sum(last_30) over earlier_steps as last_30
        from user_steps
        window earlier_steps as (partition by organization_id, user_id order by step_date)
    ),

    states as (
        select
            organization_id,
            user_id,
            step_date,
            cast(today > 0 as integer) as is_daily,
            cast(last_7 > 0 as integer) as is_weekly,
            cast(last_30 > 0 as integer) as is_monthly,
            cast(last_7 > 0 and last_30 >= {{ power_user_days() }} as integer) as is_power
        from active_days
    ),

    changes as (
        {%- set kinds = ["daily", "weekly", "monthly", "power"] %}
        select
            organization_id,
            step_date,
            {% for kind in kinds %}
                is_{{ kind }} - coalesce(
                    lag(is_{{ kind }}) over (partition by organization_id, user_id order by step_date), 0
                ) as {{ kind }}_change{{ "," if not loop.last }}
            {% endfor %}
        from states
        union all
        -- every held day has a row, also one on which nothing changes
        select organization_id, activity_date, 0, 0, 0, 0
        from days
    ),

    daily_changes as (
        select
            organization_id,
            step_date,
            {% for kind in kinds %}
                sum({{ kind }}_change) as {{ kind }}_change{{ "," if not loop.last }}
            {% endfor %}
        from changes
        group by organization_id, step_date
    ),

    counts as (
        select
            organization_id,
            step_date as activity_date,
            {% for kind in kinds %}
                cast(
                    sum({{ kind }}_change) over (partition by organization_id order by step_date) as bigint
                ) as {{ kind }}_count{{ "," if not loop.last }}
            {% endfor %}
        from daily_changes
    )

select
    days.organization_id,
    days.activity_date,
    counts.daily_count as listed_daily_user_count,
    case when days.has_last_7_days then counts.weekly_count end as listed_weekly_user_count,
    case when days.has_last_30_days then counts.monthly_count end as listed_monthly_user_count,
    case when days.has_last_30_days then counts.power_count end as power_user_count,
    days.finality
from days
inner join
    counts on days.organization_id = counts.organization_id and days.activity_date = counts.activity_date
