with
    spend as (
        select *, cast(date_trunc('month', activity_date) as date) as month from {{ ref("int_team_spend") }}
    ),

    added_up as (
        select
            organization_id,
            month,
            team,
            string_agg(distinct cost_center, ', ' order by cost_center) as cost_center,
            {{ sums_of(["amount_cents", "list_amount_cents"]) }},
            cast(sum(total_tokens) as bigint) as total_tokens,
            count(distinct user_id) as user_count
        from spend
        group by organization_id, month, team
    ),

    known as (
        select
            added_up.* replace(
                case when months.has_costs then coalesce(added_up.amount_cents, 0) end as amount_cents,
                case
                    when months.has_costs then coalesce(added_up.list_amount_cents, 0)
                end as list_amount_cents
            ),
            months.day_count,
            months.known_day_count,
            months.is_complete,
            months.finality,
            months.complete_through
        from added_up
        inner join
            {{ ref("int_spend_months") }} as months
            on added_up.organization_id = months.organization_id
            and added_up.month = months.month
    ),

    known_months as (
        select *, sum(amount_cents) over (partition by organization_id, month) as month_amount_cents
        from known
    )

select
    known_months.organization_id,
    month,
    team,
    cost_center,
    organizations.plan,
    amount_cents,
    list_amount_cents,
    {{ cents_to_usd("amount_cents") }} as amount_usd,
    {{ cents_to_usd("list_amount_cents") }} as list_amount_usd,
    {{ cents_to_usd("list_amount_cents - amount_cents") }} as discount_usd,
    {{ share_of("amount_cents", "month_amount_cents") }} as share_of_total,
    total_tokens,
    user_count,
    day_count,
    known_day_count,
    is_complete,
    known_months.finality,
    known_months.complete_through
from known_months
left join
    {{ ref("dim_claude_organizations") }} as organizations
    on known_months.organization_id = organizations.organization_id
