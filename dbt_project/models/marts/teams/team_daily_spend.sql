{#- Whole each time: the map, or an address, can decide any day anew; it reads one row per person and day. -#}
{%- set counters = token_counters() + ["total_tokens", "web_search_requests"] %}

with
    added_up as (
        select
            organization_id,
            activity_date,
            team,
            string_agg(distinct cost_center, ', ' order by cost_center) as cost_center,
            {{ sums_of(["amount_cents", "list_amount_cents"]) }},
            {% for counter in counters %} cast(sum({{ counter }}) as bigint) as {{ counter }}, {% endfor %}
            count(distinct user_id) as user_count
        from {{ ref("int_team_spend") }}
        group by organization_id, activity_date, team
    ),

    known as (
        select
            added_up.* replace(
                case when days.has_costs then coalesce(added_up.amount_cents, 0) end as amount_cents,
                case when days.has_costs then coalesce(added_up.list_amount_cents, 0) end as list_amount_cents
            ),
            days.finality
        from added_up
        inner join
            {{ ref("int_spend_days") }} as days
            on added_up.organization_id = days.organization_id
            and added_up.activity_date = days.activity_date
    ),

    known_days as (
        select *, sum(amount_cents) over (partition by organization_id, activity_date) as day_amount_cents
        from known
    )

select
    known_days.organization_id,
    activity_date,
    team,
    cost_center,
    organizations.plan,
    amount_cents,
    list_amount_cents,
    list_amount_cents - amount_cents as discount_cents,
    {{ cents_to_usd("amount_cents") }} as amount_usd,
    {{ cents_to_usd("list_amount_cents") }} as list_amount_usd,
    {{ cents_to_usd("list_amount_cents - amount_cents") }} as discount_usd,
    {{ share_of("amount_cents", "day_amount_cents") }} as share_of_total,
    {% for counter in counters %} {{ counter }}, {% endfor %}
    user_count,
    finality
from known_days
left join
    {{ ref("dim_claude_organizations") }} as organizations
    on known_days.organization_id = organizations.organization_id
