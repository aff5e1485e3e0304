{%- set thresholds = [30, 60, 90] %}

with
    days as (
        select *, row_number() over (partition by organization_id order by activity_date desc) as newest_rank
        from {{ ref("int_engagement_days") }}
    ),

    newest_days as (select * from days where newest_rank = 1),

    seats as (
        select
            summaries.organization_id,
            summaries.activity_date,
            summaries.assigned_seat_count,
            row_number() over (
                partition by summaries.organization_id order by summaries.activity_date desc
            ) as newest_rank
        from {{ ref("stg_summaries") }} as summaries
        inner join
            newest_days
            on summaries.organization_id = newest_days.organization_id
            and summaries.activity_date <= newest_days.activity_date
        where summaries.assigned_seat_count is not null
    ),

    -- a deleted account or a member who left holds no seat any more
    users as (select * from {{ ref("int_known_users") }} where not is_deleted),

    counts as (
        select
            newest_days.organization_id,
            newest_days.activity_date as as_of_date,
            count(users.user_id) as known_user_count,
            {% for days in thresholds %}
                case
                    when newest_days.has_last_{{ days }}_days
                    then
                        count(
                            case
                                when users.last_known_activity_date > newest_days.activity_date - {{ days }}
                                then 1
                            end
                        )
                end as active_{{ days }}{{ "," if not loop.last }}
            {% endfor %}
        from newest_days
        left join users on newest_days.organization_id = users.organization_id
        group by
            newest_days.organization_id,
            newest_days.activity_date,
            {% for days in thresholds %}
                newest_days.has_last_{{ days }}_days{{ "," if not loop.last }}
            {% endfor %}
    ),

    thresholds as (
        {% for days in thresholds %}
            select
                organization_id,
                as_of_date,
                {{ days }} as idle_after_day_count,
                active_{{ days }} as active_user_count,
                known_user_count
            from counts {{ "union all" if not loop.last }}
        {% endfor %}
    )

select
    thresholds.organization_id,
    thresholds.idle_after_day_count,
    thresholds.as_of_date,
    seats.activity_date as seats_date,
    seats.assigned_seat_count,
    thresholds.active_user_count,
    {{ not_below_zero("seats.assigned_seat_count - thresholds.active_user_count") }} as idle_seat_count,
    thresholds.known_user_count,
    thresholds.known_user_count - thresholds.active_user_count as known_idle_user_count,
    {{ not_below_zero("seats.assigned_seat_count - thresholds.known_user_count") }} as never_seen_seat_count
from thresholds
left join seats on thresholds.organization_id = seats.organization_id and seats.newest_rank = 1
