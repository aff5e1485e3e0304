{{ config(materialized="ephemeral") }}

{#- Kind to its dimension, the dear and the plain value, what may be told of it, and the two other dimensions. -#}
{%- set premiums = {
    "fast_mode": (
        "speed",
        "fast",
        "standard",
        ["context_window", "inference_geo"],
        "fast mode",
        "standard speed",
    ),
    "us_inference": (
        "inference_geo",
        "us",
        "global",
        ["context_window", "speed"],
        "US inference",
        "global inference",
    ),
    "long_context": (
        "context_window",
        "200k-1M",
        "0-200k",
        ["inference_geo", "speed"],
        "prompts above 200k tokens",
        "the price up to 200k tokens",
    ),
} %}

with
    spend as (
        select
            organization_id,
            month,
            {{ price_dimensions() }},
            token_type,
            {{ sums_of(["amount_cents", "list_amount_cents", "tokens"]) }}
        from {{ ref("int_token_spend") }}
        where model is not null
        group by organization_id, month, {{ price_dimensions() }}, token_type
    ),

    premiums as (
        {% for kind, (dimension, dear, plain, others, dear_text, plain_text) in premiums.items() %}
            {{ "union all" if not loop.first }}
            select
                '{{ kind }}' as kind,
                '{{ dear_text }}' as dear_text,
                '{{ plain_text }}' as plain_text,
                dear.organization_id,
                dear.month,
                dear.model,
                dear.token_type,
                dear.amount_cents,
                dear.list_amount_cents,
                dear.tokens,
                -- the same tokens without the premium, all else being equal
                case
                    when dear.tokens > 0 and plain.tokens > 0 and plain.amount_cents > 0
                    then
                        {{
                            divide_rounded(
                                "plain.amount_cents",
                                "plain.tokens",
                                multiplier="cast(dear.tokens as hugeint)",
                            )
                        }}
                end as own_plain_cents,
                dear.tokens > 0 and dear.list_amount_cents > 0 and {{ is_plain("dear", others) }} as is_listed
            from spend as dear
            left join
                spend as plain
                on dear.organization_id = plain.organization_id
                and dear.month = plain.month
                and dear.model = plain.model
                and dear.token_type = plain.token_type
                and plain.{{ dimension }} = '{{ plain }}'
                {% for other in others %}
                    and dear.{{ other }} is not distinct from plain.{{ other }}
                {% endfor %}
            where dear.{{ dimension }} = '{{ dear }}' and dear.amount_cents > 0
        {% endfor %}
    ),

    listed as (
        select
            premiums.organization_id,
            premiums.month,
            premiums.model,
            premiums.token_type,
            prices.usd_per_million_tokens,
            row_number() over (
                partition by premiums.organization_id, premiums.month, premiums.model, premiums.token_type
                order by length(prices.model_prefix) desc, prices.valid_from desc
            ) as best_rank
        from (select distinct organization_id, month, model, token_type from premiums) as premiums
        inner join
            {{ ref("list_prices") }} as prices
            on premiums.model like prices.model_prefix || '%'
            and premiums.token_type = prices.token_type
            and prices.valid_from < premiums.month + interval 1 month
    ),

    -- a list price is taken with the discount that the organisation has on the same tokens
    plain as (
        select
            premiums.*,
            own_plain_cents is not null as is_own,
            coalesce(
                own_plain_cents,
                case
                    when is_listed
                    then
                        cast(
                            {{ list_cents("premiums.tokens", "listed.usd_per_million_tokens") }}
                            * {{ share_of("amount_cents", "list_amount_cents") }} as decimal(38, 12)
                        )
                end
            ) as plain_cents
        from premiums
        left join
            listed
            on premiums.organization_id = listed.organization_id
            and premiums.month = listed.month
            and premiums.model = listed.model
            and premiums.token_type = listed.token_type
            and listed.best_rank = 1
    ),

    added_up as (
        select
            kind,
            dear_text,
            plain_text,
            organization_id,
            month,
            model,
            sum(amount_cents) as spent_cents,
            coalesce(sum(amount_cents) filter (where plain_cents is null), 0) as unpriced_cents,
            sum(amount_cents - plain_cents) as avoidable_cents,
            sum(plain_cents) as plain_cents,
            sum(tokens) as tokens,
            {{ price_source("plain_cents is not null", "is_own") }} as price_source
        from plain
        group by kind, dear_text, plain_text, organization_id, month, model
    )

select
    organization_id,
    month,
    kind,
    'model' as scope,
    model as scope_value,
    spent_cents,
    unpriced_cents,
    avoidable_cents,
    price_source,
    {{ metric_text("'total_tokens'", "tokens") }}
    || ' of '
    || model
    || ' with '
    || dear_text
    || ' cost '
    || {{ usd_text(cents_to_usd("spent_cents")) }}
    || case
        when plain_cents is null
        then '; their price at ' || plain_text || ' is not known'
        else ', at ' || plain_text || ' ' || {{ usd_text(cents_to_usd("plain_cents")) }}
    end as evidence
from added_up
