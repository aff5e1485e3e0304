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

    -- on such a day, what no user is behind has tokens whose cost is not reported, or the other way round
    {% for lines, fact in [("cost_lines", "fct_claude_costs"), ("usage_lines", "fct_claude_usage")] %}
        {{ lines }} as (
            select *
            from {{ ref(fact) }}
            where
                {{ is_touched() }}
                and (
                    attribution = 'user'
                    or (organization_id, activity_date)
                    not in (select organization_id, activity_date from partly_detailed_days)
                )
        ),
    {% endfor %}

    -- cost and tokens of one key in one shape
    lines as (
        select
            organization_id,
            activity_date,
            {{ price_dimensions() }},
            token_type,
            amount_cents,
            list_amount_cents,
            cast(null as bigint) as tokens
        from cost_lines
        where cost_type = 'tokens' and token_type is not null
        {% for token_type, counter in token_type_counters().items() %}
            union all
            select
                organization_id,
                activity_date,
                {{ price_dimensions() }},
                '{{ token_type }}' as token_type,
                cast(null as decimal(38, 12)) as amount_cents,
                cast(null as decimal(38, 12)) as list_amount_cents,
                {{ counter }} as tokens
            from usage_lines
            where {{ counter }} <> 0
        {% endfor %}
    ),

    added_up as (
        select
            organization_id,
            activity_date,
            {{ price_dimensions() }},
            token_type,
            sum(amount_cents) as amount_cents,
            sum(list_amount_cents) as list_amount_cents,
            cast(sum(tokens) as bigint) as tokens
        from lines
        group by organization_id, activity_date, {{ price_dimensions() }}, token_type
    )

select
    added_up.organization_id,
    added_up.activity_date,
    {{ price_dimensions("added_up.") }},
    added_up.token_type,
    organizations.plan,
    added_up.tokens,
    added_up.amount_cents,
    added_up.list_amount_cents,
    {{ cents_to_usd("added_up.amount_cents") }} as amount_usd,
    {{ cents_to_usd("added_up.list_amount_cents") }} as list_amount_usd,
    -- cents per token x 10,000 = dollars per million tokens; a seat's credits are not the price of its tokens
    case
        when organizations.plan is distinct from 'seat'
        then {{ divide_rounded("added_up.amount_cents", "added_up.tokens", multiplier=10000, digits=6) }}
    end as usd_per_million_tokens,
    case
        when organizations.plan is distinct from 'seat'
        then {{ divide_rounded("added_up.list_amount_cents", "added_up.tokens", multiplier=10000, digits=6) }}
    end as list_usd_per_million_tokens,
    days.finality,
    {{ built_through_sequence(["fct_claude_costs", "fct_claude_usage"]) }} as built_through_sequence
from added_up
inner join
    {{ ref("int_spend_days") }} as days
    on added_up.organization_id = days.organization_id
    and added_up.activity_date = days.activity_date
left join
    {{ ref("dim_claude_organizations") }} as organizations
    on added_up.organization_id = organizations.organization_id
