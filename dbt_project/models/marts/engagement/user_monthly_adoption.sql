{%- set events = unit_counters() %}

with
    user_months as (select * from {{ ref("int_user_months") }}),

    known_users as (
        select organization_id, user_id, min(first_activity_date) as first_known_activity_date
        from user_months
        group by organization_id, user_id
    ),

    -- every known month from a user's first on, also those without any activity
    spine as (
        select
            months.*,
            known_users.user_id,
            known_users.first_known_activity_date,
            first_days.has_30_days_before as has_history_before
        from known_users
        inner join
            {{ ref("int_engagement_months") }} as months
            on known_users.organization_id = months.organization_id
            and months.month >= cast(date_trunc('month', known_users.first_known_activity_date) as date)
        inner join
            {{ ref("int_engagement_days") }} as first_days
            on known_users.organization_id = first_days.organization_id
            and known_users.first_known_activity_date = first_days.activity_date
    ),

    adoption as (
        select
            spine.organization_id,
            spine.user_id,
            spine.month,
            spine.is_complete,
            spine.is_lookback_complete,
            spine.day_count,
            spine.known_day_count,
            spine.finality,
            spine.first_known_activity_date,
            spine.has_history_before,
            spine.first_known_activity_date >= spine.month as is_first_month,
            coalesce(user_months.active_day_count, 0) as active_day_count,
            user_months.first_activity_date,
            user_months.last_activity_date,
            max(user_months.last_activity_date) over (
                partition by spine.organization_id, spine.user_id order by spine.month
            ) as last_known_activity_date,
            {% for surface in surfaces() %} user_months.{{ surface }}_active_day_count, {% endfor %}
            {% for event in events %}
                -- no activity is a zero; an activity without a count is not
                case
                    when user_months.user_id is null then 0 else user_months.{{ event }}
                end as {{ event }}{{ "," if not loop.last }}
            {% endfor %}
        from spine
        left join
            user_months
            on spine.organization_id = user_months.organization_id
            and spine.user_id = user_months.user_id
            and spine.month = user_months.month
    )

select
    organization_id,
    user_id,
    month,
    {{ adoption_segment() }} as segment,
    active_day_count,
    first_activity_date,
    last_activity_date,
    first_known_activity_date,
    last_known_activity_date,
    {% for surface in surfaces() %}
        cast(coalesce({{ surface }}_active_day_count, 0) > 0 as integer) {{ "+" if not loop.last }}
    {% endfor %} as surface_count,
    {% for surface in surfaces() %} {{ surface }}_active_day_count, {% endfor %}
    {% for event in events %} {{ event }}, {% endfor %}
    day_count,
    known_day_count,
    is_complete,
    finality
from adoption
