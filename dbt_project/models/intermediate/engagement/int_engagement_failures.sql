with
    ledger as (
        select *
        from {{ ref("stg_pulls") }}
        where endpoint in ('{{ (engagement_endpoints() + optional_engagement_endpoints()) | join("', '") }}')
    ),

    newest_complete as (
        select
            organization_id,
            endpoint,
            max(pull_sequence) as pull_sequence,
            max_by(run_id, pull_sequence) as run_id
        from ledger
        where status = 'complete'
        group by organization_id, endpoint
    ),

    classified as (
        select *, {{ failure_state() }} as state, {{ failure_ends_the_run() }} as ends_the_run
        from ledger
        where status = 'failed'
    ),

    ranked as (
        select
            *,
            row_number() over (
                partition by organization_id, endpoint, state = 'late' order by pull_sequence desc
            )
            = 1 as is_newest
        from classified
    )

select
    failures.pull_id,
    failures.organization_id,
    failures.endpoint,
    failures.pull_sequence,
    failures.fetched_at,
    failures.state,
    failures.error_type,
    failures.error_message,
    failures.request_id,
    failures.window_start,
    failures.window_end,
    failures.is_newest,
    -- the API names the newest day it has; later ones were not asked for in the same run
    case
        when failures.state = 'late' and failures.latest_available_day < failures.window_start
        then failures.latest_available_day
        when failures.state = 'late'
        then failures.window_start - 1
    end as latest_available_day,
    failures.is_newest
    and failures.ends_the_run
    and (
        newest_complete.pull_sequence is null
        or failures.pull_sequence > newest_complete.pull_sequence
        or failures.run_id = newest_complete.run_id
    ) as answers_every_day
from ranked as failures
left join
    newest_complete
    on failures.organization_id = newest_complete.organization_id
    and failures.endpoint = newest_complete.endpoint
