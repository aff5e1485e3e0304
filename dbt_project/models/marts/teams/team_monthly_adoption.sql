with
    -- only days whose cost and activity are both known may be divided by each other
    days as (select * from {{ ref("int_unit_days") }}),

    spend as (
        select
            days.organization_id,
            days.month,
            spend.team,
            sum(spend.amount_cents) as amount_cents,
            cast(sum(spend.total_tokens) as bigint) as total_tokens
        from days
        inner join
            {{ ref("int_team_spend") }} as spend
            on days.organization_id = spend.organization_id
            and days.activity_date = spend.activity_date
        group by days.organization_id, days.month, spend.team
    ),

    active_days as (
        select
            unit_days.organization_id,
            unit_days.activity_date,
            days.month,
            unit_days.user_id,
            unit_days.message_count
        from {{ ref("int_user_unit_days") }} as unit_days
        inner join
            days
            on unit_days.organization_id = days.organization_id
            and unit_days.activity_date = days.activity_date
        where unit_days.is_active
    ),

    team_days as (
        {{ team_lines("active_days", ["organization_id", "month", "user_id"], [], ["message_count"]) }}
    ),

    activity as (
        select
            organization_id,
            month,
            team,
            count(distinct user_id) as active_user_count,
            cast({{ sum_if_all_known("message_count") }} as bigint) as message_count
        from team_days
        group by organization_id, month, team
    ),

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

    teams as (
        select organization_id, month, team
        from spend
        union
        select organization_id, month, team
        from activity
    ),

    sums as (
        select
            teams.organization_id,
            teams.month,
            teams.team,
            coalesce(spend.amount_cents, 0) as amount_cents,
            spend.total_tokens,
            coalesce(activity.active_user_count, 0) as active_user_count,
            activity.message_count
        from teams
        left join spend using (organization_id, month, team)
        left join activity using (organization_id, month, team)
    )

select
    sums.organization_id,
    sums.month,
    sums.team,
    organizations.plan,
    sums.active_user_count,
    sums.message_count,
    sums.total_tokens,
    {{ cents_to_usd("sums.amount_cents") }} as amount_usd,
    {{ usd_per_unit("sums.amount_cents", "sums.active_user_count") }} as allocated_cost_per_active_user_usd,
    {{ usd_per_unit("sums.amount_cents", "sums.message_count") }} as allocated_cost_per_message_usd,
    cast(divide(sums.total_tokens, nullif(sums.active_user_count, 0)) as bigint) as tokens_per_active_user,
    months.day_count,
    months.covered_day_count,
    months.covered_day_count = months.day_count as is_complete,
    case
        when months.covered_day_count = months.day_count then months.finality else 'incomplete'
    end as finality
from sums
inner join months on sums.organization_id = months.organization_id and sums.month = months.month
left join
    {{ ref("dim_claude_organizations") }} as organizations
    on sums.organization_id = organizations.organization_id
