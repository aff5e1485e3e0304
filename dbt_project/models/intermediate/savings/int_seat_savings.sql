{{ config(materialized="ephemeral") }}

with
    days as (
        select
            organization_id,
            cast(date_trunc('month', activity_date) as date) as month,
            activity_date,
            assigned_seat_count,
            assigned_seat_count - monthly_active_user_count as idle_seat_count,
            finality,
            row_number() over (
                partition by organization_id, date_trunc('month', activity_date) order by activity_date desc
            ) as newest_rank
        from {{ ref("org_daily_adoption") }}
        where assigned_seat_count is not null and monthly_active_user_count is not null and {{ is_touched() }}
    )

select
    organization_id,
    month,
    'idle_seat' as kind,
    'organization' as scope,
    organization_id as scope_value,
    idle_seat_count,
    finality,
    idle_seat_count
    || ' of '
    || assigned_seat_count
    || ' seats had nobody active in the 30 days to '
    || strftime(activity_date, '%-d %b') as evidence
from days
where newest_rank = 1 and idle_seat_count > 0
