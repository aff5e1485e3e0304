{{
    config(
        materialized="incremental",
        incremental_strategy="replace_days",
        meta={
            "endpoints": ["users", "user_cost_report", "cost_report"],
            "period": "month",
            "labels": ["plan"],
        },
    )
}}

with
    days as (select * from {{ ref("int_unit_days") }} where {{ is_touched() }}),

    day_sums as (
        select
            organization_id,
            month,
            count(*) as covered_day_count,
            min(activity_date) as first_covered_date,
            max(activity_date) as last_covered_date,
            sum(total_cents) as total_cost_cents,
            {{ worst_finality() }} as finality
        from days
        group by organization_id, month
    ),

    -- a month in which nobody did anything has its row
    user_days as (
        select days.organization_id, days.month, {{ unit_day_columns("unit_days.") }}
        from days
        left join
            {{ ref("int_user_unit_days") }} as unit_days
            on days.organization_id = unit_days.organization_id
            and days.activity_date = unit_days.activity_date
            and {{ is_touched("unit_days.activity_date") }}
    ),

    user_sums as (
        select
            organization_id,
            month,
            count(distinct case when is_active then user_id end) as known_active_user_count,
            {{ unit_sums() }}
        from user_days
        group by organization_id, month
    ),

    months as (
        select
            user_sums.*,
            cast(user_sums.month + interval 1 month as date) - user_sums.month as day_count,
            day_sums.covered_day_count,
            day_sums.first_covered_date,
            day_sums.last_covered_date,
            day_sums.total_cost_cents,
            day_sums.finality
        from day_sums
        inner join
            user_sums
            on day_sums.organization_id = user_sums.organization_id
            and day_sums.month = user_sums.month
    ),

    whole_months as (
        select
            *,
            covered_day_count = day_count as is_complete,
            -- people cannot be counted from a part of the month
            case when covered_day_count = day_count then known_active_user_count end as active_user_count
        from months
    )

select
    whole_months.organization_id,
    whole_months.month,
    organizations.plan,
    whole_months.day_count,
    whole_months.covered_day_count,
    whole_months.first_covered_date,
    whole_months.last_covered_date,
    whole_months.is_complete,
    case when whole_months.is_complete then whole_months.finality else 'incomplete' end as finality,
    whole_months.active_user_count,
    whole_months.known_active_user_count,
    whole_months.message_count,
    whole_months.claude_code_session_count,
    whole_months.commit_count,
    whole_months.pull_request_count,
    whole_months.accepted_line_count,
    {{ cents_to_usd("whole_months.total_cost_cents") }} as total_cost_usd,
    {{ cents_to_usd("whole_months.user_cost_cents") }} as user_cost_usd,
    {{ cents_to_usd("whole_months.active_user_cost_cents") }} as active_user_cost_usd,
    {{ cents_to_usd("whole_months.claude_code_cost_cents") }} as claude_code_cost_usd,
    {{ usd_per_unit("active_user_cost_cents", "active_user_count") }} as direct_cost_per_active_user_usd,
    {{ usd_per_unit("total_cost_cents", "active_user_count") }} as allocated_cost_per_active_user_usd,
    {{ usd_per_unit("active_user_cost_cents", "known_active_user_count") }}
    as direct_cost_per_active_user_to_date_usd,
    {{ usd_per_unit("total_cost_cents", "known_active_user_count") }}
    as allocated_cost_per_active_user_to_date_usd,
    {{ unit_prices("total_cost_cents") }},
    {{ built_through_sequence(["int_user_unit_days"]) }} as built_through_sequence
from whole_months
left join
    {{ ref("dim_claude_organizations") }} as organizations
    on whole_months.organization_id = organizations.organization_id
