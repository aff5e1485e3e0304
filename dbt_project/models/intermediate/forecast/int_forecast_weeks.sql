{{ config(materialized="table") }}
{%- set classes = range(1, 8) %}

with
    spent as (
        select {{ forecast_key() }}, weeks_back, sum(usual) as usual
        from {{ ref("int_forecast_window_spend") }}
        group by {{ forecast_key() }}, weeks_back
    ),

    known as (
        select
            {{ forecast_key("profiles.") }},
            known_days.weeks_back,
            {% for one in classes %}
                known_days.day_count_{{ one }} * profiles.share_{{ one }}
                {{ "+" if not loop.last else "as known_share" }}
            {% endfor %}
        from {{ ref("int_forecast_profiles") }} as profiles
        inner join
            {{ ref("int_forecast_known_days") }} as known_days using (
                organization_id, of_users, forecast_date, start_date
            )
    ),

    weeks as (
        select {{ forecast_key() }}, weeks_back, coalesce(spent.usual, 0) / known.known_share as week_total
        from known
        left join spent using ({{ forecast_key() }}, weeks_back)
        where known.known_share >= {{ var("forecast").least_known_share }}
    ),

    averaged as (select *, avg(week_total) over (partition by {{ forecast_key() }}) as week_mean from weeks)

select
    {{ forecast_key() }},
    weeks_back,
    week_total,
    ln(greatest(week_total, {{ var("forecast").floor_of_week }} * week_mean, 1e-12)) as log_total,
    ln(
        greatest(week_total, {{ var("forecast").floor_of_newest_week }} * week_mean, 1e-12)
    ) as newest_log_total
from averaged
