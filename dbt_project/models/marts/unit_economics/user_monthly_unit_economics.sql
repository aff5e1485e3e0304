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

    months as (
        select
            organization_id,
            month,
            cast(month + interval 1 month as date) - month as day_count,
            count(*) as covered_day_count,
            {{ worst_finality() }} as finality
        from days
        group by organization_id, month
    ),

    user_days as (
        select days.organization_id, days.month, {{ unit_day_columns("unit_days.") }}
        from {{ ref("int_user_unit_days") }} as unit_days
        inner join
            days
            on unit_days.organization_id = days.organization_id
            and unit_days.activity_date = days.activity_date
            and {{ is_touched("unit_days.activity_date") }}
    ),

    user_sums as (
        select organization_id, month, user_id, {{ unit_sums() }}
        from user_days
        group by organization_id, month, user_id
    )

select
    user_sums.organization_id,
    user_sums.user_id,
    user_sums.month,
    organizations.plan,
    months.day_count,
    months.covered_day_count,
    months.covered_day_count = months.day_count as is_complete,
    case
        when months.covered_day_count = months.day_count then months.finality else 'incomplete'
    end as finality,
    user_sums.active_user_day_count as active_day_count,
    user_sums.message_count,
    user_sums.claude_code_session_count,
    user_sums.commit_count,
    user_sums.pull_request_count,
    user_sums.accepted_line_count,
    {{ cents_to_usd("user_sums.user_cost_cents") }} as user_cost_usd,
    {{ cents_to_usd("user_sums.active_user_cost_cents") }} as active_user_cost_usd,
    {{ cents_to_usd("user_sums.claude_code_cost_cents") }} as claude_code_cost_usd,
    {{ usd_per_unit("active_user_cost_cents", "active_user_day_count") }} as direct_cost_per_active_day_usd,
    {{ unit_prices("user_cost_cents") }},
    {{ built_through_sequence(["int_user_unit_days"]) }} as built_through_sequence
from user_sums
inner join months on user_sums.organization_id = months.organization_id and user_sums.month = months.month
left join
    {{ ref("dim_claude_organizations") }} as organizations
    on user_sums.organization_id = organizations.organization_id
