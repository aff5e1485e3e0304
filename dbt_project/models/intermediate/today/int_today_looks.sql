with
    looks as (
        select *
        from {{ ref("stg_watch_looks") }}
        where status = 'complete'
        qualify row_number() over (partition by organization_id order by look_sequence desc) = 1
    ),

    -- the day's pull takes the place of what was seen of it
    pulled as (
        select organization_id, activity_date, min(coalesce(data_refreshed_at, fetched_at)) as pulled_through
        from {{ ref("stg_current_pulls") }}
        where endpoint in ('cost_report', 'user_cost_report')
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
left join pulled using (organization_id, activity_date)
where pulled_through is null or pulled_through < coalesce(looks.data_refreshed_at, looks.looked_at)
