{{ config(materialized="view") }}

with
    pulls as (
        select *, cast(window_end - window_start as integer) as window_day_count from {{ ref("stg_pulls") }}
    ),

    ledger as (
        select *
        from pulls
        where endpoint in ('{{ (engagement_endpoints() + optional_engagement_endpoints()) | join("', '") }}')
    ),

    -- as of the newest thing the ledger knows of the organisation: a day is aggregated at 10:00 UTC of the
    -- next
    organizations as (
        select
            organization_id,
            min(window_start) as first_date,
            cast(max(fetched_at) - interval 10 hour as date) - 1 as newest_possible_date
        from pulls
        group by organization_id
    ),

    asked_endpoints as (
        {% for endpoint in engagement_endpoints() %}
            select organization_id, '{{ endpoint }}' as endpoint
            from organizations
            union
        {% endfor %}
        select organization_id, endpoint
        from ledger
    ),

    last_dates as (
        select
            organizations.organization_id,
            organizations.first_date,
            organizations.newest_possible_date,
            greatest(
                organizations.newest_possible_date, coalesce(max(ledger.window_end) - 1, date '1970-01-01')
            ) as last_date
        from organizations
        left join ledger on organizations.organization_id = ledger.organization_id
        group by organizations.organization_id, organizations.first_date, organizations.newest_possible_date
    ),

    dates as (
        select
            organization_id,
            newest_possible_date,
            cast(
                unnest(
                    generate_series(
                        cast(first_date as timestamp), cast(last_date as timestamp), interval 1 day
                    )
                ) as date
            ) as activity_date
        from last_dates
    ),

    summary_rows as (
        select pull_id, activity_date, count(*) as row_count
        from {{ ref("stg_summaries") }}
        group by pull_id, activity_date
    ),

    days as (
        select
            dates.organization_id,
            asked_endpoints.endpoint,
            dates.activity_date,
            dates.newest_possible_date,
            held.pull_id,
            held.fetched_at,
            coalesce(
                max(case when held.pull_id is not null then dates.activity_date end) over (
                    partition by dates.organization_id, asked_endpoints.endpoint
                ),
                date '1970-01-01'
            ) as last_held_date,
            {{ engagement_finality("held.fetched_at", "dates.activity_date") }} as finality,
            case
                when held.pull_id is null
                then null
                when held_pulls.window_day_count = 1
                then held_pulls.row_count
                else coalesce(summary_rows.row_count, 0)
            end as row_count
        from dates
        inner join asked_endpoints on dates.organization_id = asked_endpoints.organization_id
        left join
            {{ ref("stg_current_pulls") }} as held
            on dates.organization_id = held.organization_id
            and asked_endpoints.endpoint = held.endpoint
            and dates.activity_date = held.activity_date
        left join ledger as held_pulls on held.pull_id = held_pulls.pull_id
        left join
            summary_rows
            on held.pull_id = summary_rows.pull_id
            and dates.activity_date = summary_rows.activity_date
    ),

    newest_complete as (
        select
            organization_id,
            endpoint,
            pull_sequence,
            run_id,
            row_number() over (
                partition by organization_id, endpoint order by pull_sequence desc
            ) as newest_rank
        from ledger
        where status = 'complete'
    ),

    failures as (
        select
            *,
            case
                when error_type = 'not_yet_available'
                then 'late'
                when error_type in ('permission_error', 'authentication_error')
                then 'forbidden'
                else 'failed'
            end as state,
            row_number() over (
                partition by organization_id, endpoint, error_type = 'not_yet_available'
                order by pull_sequence desc
            ) as newest_rank
        from ledger
        where status = 'failed'
    ),

    answered_failures as (
        select
            failures.organization_id,
            failures.endpoint,
            failures.window_start,
            failures.window_end,
            failures.pull_sequence,
            failures.state,
            failures.error_type,
            failures.error_message,
            failures.request_id,
            -- the API names the newest day it has; later ones were not asked for in the same run
            case
                when failures.state = 'late' and failures.latest_available_day < failures.window_start
                then failures.latest_available_day
                when failures.state = 'late'
                then failures.window_start - 1
            end as latest_date,
            failures.fetched_at,
            failures.newest_rank = 1 as is_newest,
            -- after a refusal, or where nobody answers, the rest of the run's days were not asked for
            failures.newest_rank = 1
            and (
                failures.state = 'forbidden' or failures.error_type in ('transport_error', 'not_found_error')
            )
            and (
                newest_complete.pull_sequence is null
                or failures.pull_sequence > newest_complete.pull_sequence
                or failures.run_id = newest_complete.run_id
            ) as is_final_answer
        from failures
        left join
            newest_complete
            on failures.organization_id = newest_complete.organization_id
            and failures.endpoint = newest_complete.endpoint
            and newest_complete.newest_rank = 1
    ),

    days_with_failures as (
        select
            days.*,
            answered_failures.state,
            answered_failures.error_type,
            answered_failures.error_message,
            answered_failures.request_id,
            row_number() over (
                partition by days.organization_id, days.endpoint, days.activity_date
                order by answered_failures.pull_sequence desc nulls last
            ) as newest_rank
        from days
        left join
            answered_failures
            on days.pull_id is null
            and days.organization_id = answered_failures.organization_id
            and days.endpoint = answered_failures.endpoint
            and (
                answered_failures.is_final_answer
                or (
                    answered_failures.state <> 'late'
                    and days.activity_date >= answered_failures.window_start
                    and days.activity_date < answered_failures.window_end
                )
                -- the newest word alone, about days that were over by then, unless a later day has come since
                or (
                    answered_failures.state = 'late'
                    and answered_failures.is_newest
                    and answered_failures.fetched_at >= days.activity_date + interval 1 day
                    and days.activity_date > answered_failures.latest_date
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
