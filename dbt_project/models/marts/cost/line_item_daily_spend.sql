{{
    config(
        materialized="incremental",
        incremental_strategy="replace_days",
        meta={
            "endpoints": ["user_cost_report", "cost_report", "user_usage_report", "usage_report"],
            "labels": ["plan"],
        },
    )
}}

with
    partly_detailed_days as ({{ partly_detailed_days() }}),

    cost_items as (
        select
            organization_id,
            activity_date,
            cost_type,
            sum(amount_cents) as amount_cents,
            sum(list_amount_cents) as list_amount_cents,
            sum(case when attribution = 'unattributed' then amount_cents else 0 end) as unattributed_cents,
            sum(case when attribution = 'user' then amount_cents end) as user_amount_cents,
            sum(case when attribution = 'user' then list_amount_cents end) as user_list_amount_cents,
            sum(case when token_type is null then amount_cents else 0 end) as untyped_cents,
            sum(
                case when attribution = 'unattributed' and token_type is null then amount_cents else 0 end
            ) as unattributed_untyped_cents,
            count(distinct user_id) as user_count
        from {{ ref("fct_claude_costs") }}
        where {{ is_touched() }}
        group by organization_id, activity_date, cost_type
    ),

    usage_totals as (
        select
            organization_id,
            activity_date,
            sum(total_tokens) as total_tokens,
            sum(web_search_requests) as web_search_requests,
            sum(case when attribution = 'user' then web_search_requests end) as user_web_search_requests
        from {{ ref("fct_claude_usage") }}
        where {{ is_touched() }}
        group by organization_id, activity_date
    ),

    -- what an item is counted in: a token line has tokens, a search line searches
    counted as (
        select
            cost_items.*,
            organizations.plan,
            case when cost_type = 'tokens' then usage_totals.total_tokens end as total_tokens,
            case
                when cost_type = 'web_search' then usage_totals.web_search_requests
            end as web_search_requests,
            case
                when cost_type = 'web_search' then usage_totals.user_web_search_requests
            end as user_web_search_requests,
            partly_detailed_days.activity_date is not null as is_partly_detailed,
            case
                when cost_type is null
                then amount_cents
                when cost_type = 'tokens'
                then
                    untyped_cents + case
                        when partly_detailed_days.activity_date is not null
                        then unattributed_cents - unattributed_untyped_cents
                        else 0
                    end
                when cost_type = 'web_search'
                then
                    case
                        when partly_detailed_days.activity_date is not null then unattributed_cents else 0
                    end
            end as unpriced_cents,
            days.finality
        from cost_items
        inner join
            {{ ref("int_spend_days") }} as days
            on cost_items.organization_id = days.organization_id
            and cost_items.activity_date = days.activity_date
        left join
            usage_totals
            on cost_items.organization_id = usage_totals.organization_id
            and cost_items.activity_date = usage_totals.activity_date
        left join
            partly_detailed_days
            on cost_items.organization_id = partly_detailed_days.organization_id
            and cost_items.activity_date = partly_detailed_days.activity_date
        left join
            {{ ref("dim_claude_organizations") }} as organizations
            on cost_items.organization_id = organizations.organization_id
    )

select
    organization_id,
    activity_date,
    cost_type,
    plan,
    amount_cents,
    list_amount_cents,
    list_amount_cents - amount_cents as discount_cents,
    unattributed_cents,
    cast(unpriced_cents as decimal(38, 12)) as unpriced_cents,
    {{ cents_to_usd("amount_cents") }} as amount_usd,
    {{ cents_to_usd("list_amount_cents") }} as list_amount_usd,
    {{ cents_to_usd("list_amount_cents - amount_cents") }} as discount_usd,
    {{ cents_to_usd("unpriced_cents") }} as unpriced_usd,
    cast(total_tokens as bigint) as total_tokens,
    cast(web_search_requests as bigint) as web_search_requests,
    -- cents per search x 10 = dollars per thousand searches; of users alone where others' searches may have
    -- a cost that
    -- is not reported. A seat's credits are not the price of its searches.
    {% for list in ["", "list_"] %}
        case
            when plan = 'seat'
            then null
            when is_partly_detailed
            then
                {{
                    divide_rounded(
                        "user_" ~ list ~ "amount_cents", "user_web_search_requests", multiplier=10, digits=6
                    )
                }}
            else {{ divide_rounded(list ~ "amount_cents", "web_search_requests", multiplier=10, digits=6) }}
        end as {{ list }}usd_per_thousand_searches,
    {% endfor %}
    user_count,
    finality,
    {{ built_through_sequence(["fct_claude_costs", "fct_claude_usage"]) }} as built_through_sequence
from counted
