{{ config(materialized="table") }}
{%- set classes = range(1, 8) %}

with
    spent as (
        select
            {{ forecast_key() }},
            {% for one in classes %}
                sum(case when day_class = {{ one }} then usual else 0 end) as usual_{{ one }},
            {% endfor %}
            sum(usual) as usual,
            sum(greatest(spent, 0)) / nullif(sum(greatest(usual, 0)), 0) as spike_ratio
        from {{ ref("int_forecast_window_spend") }}
        group by {{ forecast_key() }}
    ),

    known_days as (
        select
            organization_id,
            of_users,
            forecast_date,
            start_date,
            {% for one in classes %} sum(day_count_{{ one }}) as day_count_{{ one }}, {% endfor %}
            {% for one in classes %}
                sum(day_count_{{ one }}) {{ "+" if not loop.last else "as day_count" }}
            {% endfor %}
        from {{ ref("int_forecast_known_days") }}
        group by organization_id, of_users, forecast_date, start_date
    ),

    -- a kind of day that was never seen is an average one; credits are not expected again
    day_means as (
        select
            {{ forecast_key("series.") }},
            series.of_users,
            series.start_date,
            coalesce(spent.spike_ratio, 1) as spike_ratio,
            {% for one in classes %}
                greatest(
                    case
                        when known_days.day_count_{{ one }} > 0
                        then spent.usual_{{ one }} / known_days.day_count_{{ one }}
                        else spent.usual / known_days.day_count
                    end,
                    0
                ) as mean_{{ one }}{{ "," if not loop.last }}
            {% endfor %}
        from {{ ref("int_forecast_series") }} as series
        inner join spent using ({{ forecast_key() }})
        inner join known_days using (organization_id, of_users, forecast_date, start_date)
    ),

    weeks as (
        select *, {% for one in classes %} mean_{{ one }} {{ "+" if not loop.last }} {% endfor %} as week_mean
        from day_means
    )

select
    {{ forecast_key() }},
    of_users,
    start_date,
    spike_ratio,
    {% for one in classes %}
        case when week_mean > 0 then mean_{{ one }} / week_mean else 1 / 7 end as share_{{ one }}
        {{- "," if not loop.last }}
    {% endfor %}
from weeks
