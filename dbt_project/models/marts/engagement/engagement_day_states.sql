{{ config(materialized="view") }}

with
    expected_days as (select * from {{ ref("int_expected_engagement_days") }}),

    pulls as (
        select pull_id, row_count, window_end - window_start > 1 as has_several_days
        from {{ ref("stg_pulls") }}
    ),

    summary_rows as (
        select pull_id, activity_date, count(*) as row_count
        from {{ ref("stg_summaries") }}
        group by pull_id, activity_date
    ),

    days as (
        select
            expected_days.*,
            held.pull_id,
            held.fetched_at,
            {{ engagement_finality("held.fetched_at", "expected_days.activity_date") }} as finality,
            case
                when held.pull_id is null
                then null
                when pulls.has_several_days
                then coalesce(summary_rows.row_count, 0)
                else pulls.row_count
            end as row_count,
            coalesce(
                max(case when held.pull_id is not null then expected_days.activity_date end) over (
                    partition by expected_days.organization_id, expected_days.endpoint
                ),
                date '1970-01-01'
            ) as last_held_date
        from expected_days
        left join
            {{ ref("stg_current_pulls") }} as held
            on expected_days.organization_id = held.organization_id
            and expected_days.endpoint = held.endpoint
            and expected_days.activity_date = held.activity_date
        left join pulls on held.pull_id = pulls.pull_id
        left join
            summary_rows
            on held.pull_id = summary_rows.pull_id
            and expected_days.activity_date = summary_rows.activity_date
    ),

    failures as (select * from {{ ref("int_engagement_failures") }}),

    days_with_failures as (
        select
            days.*,
            failures.state,
            failures.error_type,
            failures.error_message,
            failures.request_id,
            row_number() over (
                partition by days.organization_id, days.endpoint, days.activity_date
                order by failures.pull_sequence desc nulls last
            ) as newest_rank
        from days
        left join
            failures
            on days.pull_id is null
            and days.organization_id = failures.organization_id
            and days.endpoint = failures.endpoint
            and (
                failures.answers_every_day
                or (
                    failures.state <> 'late'
                    and days.activity_date >= failures.window_start
                    and days.activity_date < failures.window_end
                )
                -- the newest word alone, about days that were over by then, unless a later day has come since
                or (
                    failures.state = 'late'
                    and failures.is_newest
                    and failures.fetched_at >= days.activity_date + interval 1 day
                    and days.activity_date > failures.latest_available_day
                    and days.activity_date > days.last_held_date
                )
            )
    ),

    day_states as (
        select
            *,
            case
                when pull_id is not null and row_count > 0
                then 'complete'
                when pull_id is not null
                then 'empty'
                -- long after the longest lag the API promises, late is another word for a hole
                when
                    state = 'late'
                    and activity_date <= newest_possible_date - {{ engagement_latest_lag_days() }}
                then 'missing'
                else coalesce(state, 'missing')
            end as day_state
        from days_with_failures
        where newest_rank = 1
    )

select
    organization_id,
    endpoint,
    activity_date,
    day_state as state,
    case
        when day_state = 'empty'
        then 'The answer has no rows: nobody was active.'
        when day_state = 'missing' and state = 'late'
        then 'Overdue: ' || error_message
        when day_state = 'missing'
        then 'No pull covers the day.'
        else error_message
    end as reason,
    row_count,
    case when pull_id is not null then finality end as finality,
    pull_id,
    fetched_at,
    error_type,
    request_id
from day_states
