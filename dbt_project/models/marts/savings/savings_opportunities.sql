{{
    config(
        materialized="incremental",
        incremental_strategy="replace_days",
        meta={
            "endpoints": [
                "user_cost_report",
                "cost_report",
                "user_usage_report",
                "usage_report",
                "summaries",
            ],
            "period": "month",
            "labels": ["plan"],
        },
    )
}}

with
    opportunities as (
        {% for model in ["int_premium_savings", "int_cache_savings", "int_model_savings"] %}
            select
                organization_id,
                month,
                kind,
                scope,
                scope_value,
                spent_cents,
                unpriced_cents,
                avoidable_cents,
                price_source,
                evidence
            from {{ ref(model) }}
            -- a saving below that, or below zero, is none; one that is not known may be as large as what
            -- was spent
            where coalesce(avoidable_cents, spent_cents) >= {{ var("savings_least_usd") }} * 100
            union all by name
        {% endfor %}
        select organization_id, month, kind, scope, scope_value, idle_seat_count, finality, evidence
        from {{ ref("int_seat_savings") }}
    ),

    token_kinds as (
        select distinct organization_id, month, kind from opportunities where kind <> 'idle_seat'
    ),

    overlapping as (
        select
            kinds.organization_id,
            kinds.month,
            kinds.kind,
            string_agg(others.kind, ', ' order by others.kind) as overlaps_with
        from token_kinds as kinds
        inner join
            token_kinds as others
            on kinds.organization_id = others.organization_id
            and kinds.month = others.month
            and kinds.kind <> others.kind
        group by kinds.organization_id, kinds.month, kinds.kind
    )

select
    opportunities.organization_id,
    opportunities.month,
    opportunities.kind,
    opportunities.scope,
    opportunities.scope_value,
    organizations.plan,
    {{ cents_to_usd("opportunities.spent_cents") }} as spent_usd,
    {{ cents_to_usd("opportunities.avoidable_cents") }} as avoidable_usd,
    {{ cents_to_usd("opportunities.unpriced_cents") }} as unpriced_usd,
    cast(opportunities.idle_seat_count as bigint) as idle_seat_count,
    opportunities.price_source,
    overlapping.overlaps_with,
    case
        opportunities.kind
        {% for kind, assumption in savings_assumptions().items() %}
            when '{{ kind }}' then '{{ assumption }}'
        {% endfor %}
    end || case
        opportunities.price_source
        when 'list_prices'
        then ' At list prices: the organisation paid none of its own that month.'
        when 'mixed'
        then ' Partly at list prices, where the organisation paid none of its own that month.'
        else ''
    end as assumption,
    opportunities.evidence,
    coalesce(opportunities.finality, months.finality) as finality,
    {{ built_through_sequence(["fct_claude_costs", "fct_claude_usage"]) }} as built_through_sequence
from opportunities
left join
    {{ ref("dim_claude_organizations") }} as organizations
    on opportunities.organization_id = organizations.organization_id
left join
    {{ ref("int_spend_months") }} as months
    on opportunities.organization_id = months.organization_id
    and opportunities.month = months.month
    and {{ is_touched("months.month") }}
left join
    overlapping
    on opportunities.organization_id = overlapping.organization_id
    and opportunities.month = overlapping.month
    and opportunities.kind = overlapping.kind
