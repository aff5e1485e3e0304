{%- set sources = {
    "user": (ref("user_daily_spend"), "user_id"),
    "product": (ref("product_daily_spend"), "product"),
    "model": (ref("model_daily_spend"), "model"),
    "user_product": (ref("int_user_spend_lines"), "user_id || '/' || product"),
} %}

with
    days as (
        select
            organization_id,
            days.activity_date,
            days.finality <> 'incomplete' as is_complete,
            coalesce(usage_days.finality <> 'incomplete', false) as has_tokens
        from {{ ref("int_asked_cost_days") }} as days
        left join {{ ref("int_usage_days") }} as usage_days using (organization_id, activity_date)
    ),

    organization_spend as (
        select
            organization_id,
            activity_date,
            sum(amount_cents) as amount_cents,
            sum(total_tokens) as total_tokens
        from {{ ref("product_daily_spend") }}
        group by organization_id, activity_date
    ),

    series as (
        -- the organisation has a row on each day that was asked for, so that a day nobody used and one not
        -- known differ
        select
            organization_id,
            'organization' as scope,
            organization_id as scope_value,
            activity_date,
            organization_spend.amount_cents,
            organization_spend.total_tokens
        from days
        left join organization_spend using (organization_id, activity_date)
        {% for scope, (relation, scope_value) in sources.items() %}
            union all
            select
                organization_id,
                '{{ scope }}' as scope,
                {{ scope_value }} as scope_value,
                activity_date,
                sum(amount_cents) as amount_cents,
                sum(total_tokens) as total_tokens
            from {{ relation }}
            where {{ scope_value }} is not null
            group by organization_id, {{ scope_value }}, activity_date
        {% endfor %}
    )

select
    organization_id,
    series.scope,
    series.scope_value,
    activity_date,
    {{ cents_to_usd("coalesce(series.amount_cents, 0)") }} as amount_usd,
    -- what usage is not known is null, which is not zero
    cast(case when days.has_tokens then coalesce(series.total_tokens, 0) end as bigint) as total_tokens,
    days.is_complete
from series
inner join days using (organization_id, activity_date)
