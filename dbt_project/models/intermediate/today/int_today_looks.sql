with
    looks as (
        select *
        from {{ ref("stg_watch_looks") }}
        where status = 'complete'
        qualify row_number() over (partition by organization_id order by look_sequence desc) = 1
    ),

    -- the pull of the whole day takes the place of what was seen of it
    pulled as (
        select organization_id, activity_date
        from {{ ref("stg_current_pulls") }}
        where endpoint in ('cost_report', 'user_cost_report') and finality <> 'incomplete'
        group by organization_id, activity_date
        having count(*) = 2
    )

select
    looks.look_id,
    looks.organization_id,
    looks.activity_date,
    looks.looked_at,
    looks.data_refreshed_at,
    looks.has_all_users,
    -- minutes of the day that the data reach
    least(
        date_diff(
            'minute', cast(activity_date as timestamp), coalesce(looks.data_refreshed_at, looks.looked_at)
        ),
        1440
    ) as minutes_seen,
    case
        when coalesce(looks.data_refreshed_at, looks.looked_at) < activity_date + interval 1 day
        then 'incomplete'
        else 'provisional'
    end as finality
from looks
anti join pulled using (organization_id, activity_date)
