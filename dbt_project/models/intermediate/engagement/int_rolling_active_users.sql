{{
    config(
        materialized="incremental",
        incremental_strategy="replace_days",
        meta={"endpoints": ["users"], "days_after": 29},
    )
}}

-- Each active day opens a span that lasts until the user's next one, or 7 or 30 days; people of a day are
-- the spans open
-- on it. One pass over the user-days instead of a self-join of every day with its 30.
with
    days as (select * from {{ ref("int_engagement_days") }} where {{ is_touched() }}),

    user_days as (
        select
            organization_id,
            activity_date,
            lead(activity_date, 1, date '9999-12-31') over user_order as next_date,
            -- with this one, the user was active so many times since
            lag(activity_date, {{ power_user_days() | int - 1 }}) over user_order as power_date
        from {{ ref("user_daily_engagement") }}
        where {{ is_touched(days_before=29) }}
        window user_order as (partition by organization_id, user_id order by activity_date)
    ),

    spans as (
        select
            organization_id,
            activity_date,
            least(next_date, activity_date + 1) as daily_end,
            least(next_date, activity_date + 7) as weekly_end,
            least(next_date, activity_date + 30) as monthly_end,
            case
                when power_date > activity_date - 30 then least(next_date, activity_date + 7, power_date + 30)
            end as power_end
        from user_days
    ),

    changes as (
        {%- set kinds = ["daily", "weekly", "monthly", "power"] %}
        {% for kind in kinds %}
            select organization_id, activity_date as change_date, '{{ kind }}' as kind, 1 as change
            from spans
            where {{ kind }}_end is not null
            union all
            select organization_id, {{ kind }}_end, '{{ kind }}', -1
            from spans
            where {{ kind }}_end is not null
            union all
        {% endfor %}
        -- every held day has a row, also one on which nothing changes
        select organization_id, activity_date, 'none', 0
        from days
    ),

    daily_changes as (
        select
            organization_id,
            change_date,
            {% for kind in kinds %}
                sum(
                    case when kind = '{{ kind }}' then change else 0 end
                ) as {{ kind }}_change{{ "," if not loop.last }}
            {% endfor %}
        from changes
        group by organization_id, change_date
    ),

    counts as (
        select
            organization_id,
            change_date,
            {% for kind in kinds %}
                cast(
                    sum({{ kind }}_change) over (partition by organization_id order by change_date) as bigint
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
    days.finality,
    {{ built_through_sequence(["user_daily_engagement"]) }} as built_through_sequence
from days
inner join counts on days.organization_id = counts.organization_id and days.activity_date = counts.change_date
