{{ config(materialized="ephemeral") }}

with
    spend as (
        select *, {{ model_family("model") }} as family
        from {{ ref("int_token_spend") }} as spend
        where
            {{ is_plain("spend", ["context_window", "inference_geo", "speed"]) }}
            and tokens > 0
            and amount_cents > 0
    ),

    requests as (
        select
            usage.organization_id,
            cast(date_trunc('month', usage.activity_date) as date) as month,
            usage.user_id,
            usage.product,
            usage.model,
            sum(usage.total_tokens) as total_tokens,
            -- one line that does not tell them, and the length of a request is not known
            {{ sum_if_all_known("usage.requests") }} as requests
        from {{ ref("fct_claude_usage") }} as usage
        where
            usage.user_id is not null
            and {{ is_plain("usage", ["context_window", "inference_geo", "speed"]) }}
            and {{ is_touched("usage.activity_date") }}
        group by
            usage.organization_id,
            date_trunc('month', usage.activity_date),
            usage.user_id,
            usage.product,
            usage.model
    ),

    short_use as (
        select *
        from requests
        where
            requests >= {{ var("savings_least_requests") }}
            and total_tokens <= requests * {{ var("savings_short_request_tokens") }}
    ),

    own_prices as (
        select organization_id, month, family, token_type, {{ sums_of(["amount_cents", "tokens"]) }}
        from spend
        where family is not null
        group by organization_id, month, family, token_type
    ),

    listed as (
        select
            {{ model_family("model_prefix") }} as family,
            token_type,
            valid_from,
            usd_per_million_tokens,
            coalesce(
                lead(valid_from) over (
                    partition by {{ model_family("model_prefix") }}, token_type
                    order by valid_from, model_prefix
                ),
                date '9999-12-31'
            ) as valid_to
        from {{ ref("list_prices") }}
    ),

    -- the same tokens of the next family below, at what the organisation pays for it
    cheaper as (
        select
            spend.organization_id,
            spend.month,
            spend.user_id,
            spend.product,
            spend.model,
            families.cheaper_family,
            short_use.requests,
            short_use.total_tokens,
            spend.amount_cents,
            own_prices.tokens is not null as is_own,
            case
                when own_prices.tokens is not null
                then
                    {{
                        divide_rounded(
                            "own_prices.amount_cents",
                            "own_prices.tokens",
                            multiplier="cast(spend.tokens as hugeint)",
                        )
                    }}
                else
                    cast(
                        {{ list_cents("spend.tokens", "listed.usd_per_million_tokens") }}
                        * {{ share_of("spend.amount_cents", "spend.list_amount_cents") }} as decimal(38, 12)
                    )
            end as cheaper_cents
        from spend
        inner join
            short_use
            on spend.organization_id = short_use.organization_id
            and spend.month = short_use.month
            and spend.user_id = short_use.user_id
            and spend.product is not distinct from short_use.product
            and spend.model = short_use.model
        inner join
            (values ('opus', 'sonnet'), ('sonnet', 'haiku')) as families(family, cheaper_family)
            on spend.family = families.family
        left join
            own_prices
            on spend.organization_id = own_prices.organization_id
            and spend.month = own_prices.month
            and families.cheaper_family = own_prices.family
            and spend.token_type = own_prices.token_type
        left join
            listed
            on families.cheaper_family = listed.family
            and spend.token_type = listed.token_type
            and spend.month >= date_trunc('month', listed.valid_from)
            and spend.month < date_trunc('month', listed.valid_to)
    ),

    parts as (
        select
            organization_id,
            month,
            user_id,
            product,
            model,
            cheaper_family,
            requests,
            total_tokens,
            sum(amount_cents) as spent_cents,
            coalesce(sum(amount_cents) filter (where cheaper_cents is null), 0) as unpriced_cents,
            sum(amount_cents - cheaper_cents) as avoidable_cents,
            sum(cheaper_cents) as cheaper_cents,
            {{ price_source("cheaper_cents is not null", "is_own") }} as price_source
        from cheaper
        group by organization_id, month, user_id, product, model, cheaper_family, requests, total_tokens
    ),

    ranked as (
        select
            *,
            row_number() over (
                partition by organization_id, month, user_id
                order by avoidable_cents desc nulls last, product, model
            ) as part_rank
        from parts
        where avoidable_cents > 0 or avoidable_cents is null
    )

select
    organization_id,
    month,
    'premium_model' as kind,
    'user' as scope,
    user_id as scope_value,
    sum(spent_cents) as spent_cents,
    sum(unpriced_cents) as unpriced_cents,
    sum(avoidable_cents) as avoidable_cents,
    case when count(distinct price_source) > 1 then 'mixed' else max(price_source) end as price_source,
    max(
        case
            when part_rank = 1
            then
                format('{:,}', cast(requests as bigint))
                || ' requests of '
                || format('{:,}', cast(divide(total_tokens, requests) as bigint))
                || ' tokens on average to '
                || model
                || coalesce(' in ' || product, '')
                || ' cost '
                || {{ usd_text(cents_to_usd("spent_cents")) }}
                || case
                    when cheaper_cents is null
                    then '; the price of ' || cheaper_family || ' is not known'
                    else ', with ' || cheaper_family || ' ' || {{ usd_text(cents_to_usd("cheaper_cents")) }}
                end
        end
    ) as evidence
from ranked
group by organization_id, month, user_id
