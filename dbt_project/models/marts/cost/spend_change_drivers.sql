{{
    config(
        materialized="incremental",
        incremental_strategy="replace_days",
        meta={
            "endpoints": ["user_cost_report", "cost_report", "user_usage_report", "usage_report"],
            "period": "month",
            "months_after": 1,
            "labels": ["plan"],
        },
    )
}}

with
    items as (select * from {{ ref("int_spend_change_items") }}),

    volumes as (
        select
            *,
            sum(previous_tokens) over of_month as all_previous_tokens,
            sum(current_tokens) over of_month as all_current_tokens
        from items
        window of_month as (partition by organization_id, month, explained_by)
    ),

    -- from the old amount to the new: all tokens grow alike, each kind's own tokens, list price, discount
    levels as (
        select
            *,
            case
                when previous_amount_cents = 0
                then 0
                else
                    {{
                        divide_rounded(
                            "previous_amount_cents",
                            "all_previous_tokens",
                            multiplier="cast(all_current_tokens as hugeint)",
                        )
                    }}
            end as cents_at_old_mix,
            case
                when previous_tokens = 0
                then current_amount_cents
                else
                    {{
                        divide_rounded(
                            "previous_amount_cents", "previous_tokens", multiplier="current_tokens"
                        )
                    }}
            end as cents_at_old_price,
            case
                when previous_tokens = 0 or previous_list_amount_cents <= 0
                then current_amount_cents
                else
                    cast(
                        current_list_amount_cents
                        * {{ share_of("previous_amount_cents", "previous_list_amount_cents") }} as decimal(
                            38, 12
                        )
                    )
            end as cents_at_old_discount
        from volumes
        where explained_by = 'priced'
    ),

    effects as (
        select
            organization_id,
            month,
            product,
            model,
            previous_amount_cents as previous_cents,
            current_amount_cents as current_cents,
            0 as previous_tokens,
            0 as current_tokens,
            {% for effect in spend_change_effects() %}
                case
                    when explained_by = '{{ effect }}'
                    then current_amount_cents - previous_amount_cents
                    else 0
                end as {{ effect }}_cents{{ "," if not loop.last }}
            {% endfor %}
        from items
        where explained_by <> 'priced'
        union all by name
        select
            organization_id,
            month,
            product,
            model,
            previous_amount_cents as previous_cents,
            current_amount_cents as current_cents,
            previous_tokens,
            current_tokens,
            cents_at_old_mix - previous_amount_cents as volume_cents,
            cents_at_old_price - cents_at_old_mix as mix_cents,
            cents_at_old_discount - cents_at_old_price as price_cents,
            current_amount_cents - cents_at_old_discount as discount_cents
        from levels
    ),

    added_up as (
        select
            organization_id,
            month,
            product,
            model,
            sum(previous_cents) as previous_cents,
            sum(current_cents) as current_cents,
            cast(sum(previous_tokens) as bigint) as previous_tokens,
            cast(sum(current_tokens) as bigint) as current_tokens,
            {% for effect in spend_change_effects() %}
                coalesce(sum({{ effect }}_cents), 0) as {{ effect }}_cents{{ "," if not loop.last }}
            {% endfor %}
        from effects
        group by organization_id, month, product, model
    ),

    months as (
        select organization_id, month, {{ worst_finality() }} as finality
        from {{ ref("int_spend_change_days") }} as days
        where {{ is_touched("month") }}
        group by organization_id, month
    )

select
    added_up.organization_id,
    added_up.month,
    added_up.product,
    added_up.model,
    organizations.plan,
    {{ cents_to_usd("added_up.previous_cents") }} as previous_usd,
    {{ cents_to_usd("added_up.current_cents") }} as current_usd,
    {{ cents_to_usd("added_up.current_cents - added_up.previous_cents") }} as change_usd,
    {% for effect in spend_change_effects() %}
        {{ cents_to_usd("added_up." ~ effect ~ "_cents") }} as {{ effect }}_effect_usd,
    {% endfor %}
    added_up.previous_tokens,
    added_up.current_tokens,
    months.finality,
    {{ built_through_sequence(["fct_claude_costs", "fct_claude_usage"]) }} as built_through_sequence
from added_up
inner join months on added_up.organization_id = months.organization_id and added_up.month = months.month
left join
    {{ ref("dim_claude_organizations") }} as organizations
    on added_up.organization_id = organizations.organization_id
