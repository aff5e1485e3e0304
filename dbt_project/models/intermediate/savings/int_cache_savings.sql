{{ config(materialized="ephemeral") }}

with
    spend as (
        select *
        from {{ ref("int_token_spend") }}
        where user_id is not null and token_type <> 'output_tokens' and tokens > 0 and amount_cents > 0
    ),

    uncached_prices as (
        select organization_id, month, {{ price_dimensions() }}, {{ sums_of(["amount_cents", "tokens"]) }}
        from spend
        where token_type = 'uncached_input_tokens'
        group by organization_id, month, {{ price_dimensions() }}
    ),

    -- input beside what it would have cost without a cache, at the organisation's own price of the month
    input as (
        select
            spend.organization_id,
            spend.month,
            spend.user_id,
            spend.product,
            sum(spend.tokens) as tokens,
            sum(spend.amount_cents) as input_cents,
            sum(
                {{
                    divide_rounded(
                        "prices.amount_cents",
                        "prices.tokens",
                        multiplier="cast(spend.tokens as hugeint)",
                    )
                }}
            ) as as_uncached_cents
        from spend
        inner join
            uncached_prices as prices
            on spend.organization_id = prices.organization_id
            and spend.month = prices.month
            and spend.model is not distinct from prices.model
            and spend.context_window is not distinct from prices.context_window
            and spend.inference_geo is not distinct from prices.inference_geo
            and spend.speed is not distinct from prices.speed
        group by spend.organization_id, spend.month, spend.user_id, spend.product
        having sum(spend.tokens) >= {{ var("savings_least_input_tokens") }}
    ),

    shares as (
        select *, {{ share_of("input_cents", "as_uncached_cents") }} as paid_share
        from input
        where as_uncached_cents > 0
    ),

    ranked as (
        select
            *,
            count(*) over peers as user_count,
            row_number() over (peers order by paid_share, user_id) as best_rank
        from shares
        window peers as (partition by organization_id, month, product)
    ),

    compared as (
        select
            *,
            max(case when best_rank = divide(user_count + 2, 3) then paid_share end) over (
                partition by organization_id, month, product
            ) as best_third_share
        from ranked
        where user_count >= {{ var("savings_least_users") }}
    ),

    avoidable as (
        select
            *,
            input_cents - cast(as_uncached_cents * best_third_share as decimal(38, 12)) as avoidable_cents,
            row_number() over (
                partition by organization_id, month, user_id
                order by
                    input_cents - cast(as_uncached_cents * best_third_share as decimal(38, 12)) desc, product
            ) as product_rank
        from compared
        where paid_share > best_third_share
    )

select
    organization_id,
    month,
    'low_cache_reuse' as kind,
    'user' as scope,
    user_id as scope_value,
    sum(input_cents) as spent_cents,
    cast(0 as decimal(38, 12)) as unpriced_cents,
    sum(avoidable_cents) as avoidable_cents,
    'own_prices' as price_source,
    max(
        case
            when product_rank = 1
            then
                'input cost '
                || {{ percent_text("paid_share") }}
                || ' of its uncached price'
                || coalesce(' in ' || product, '')
                || ', '
                || {{ percent_text("best_third_share") }}
                || ' at the best third of '
                || user_count
                || ' users'
        end
    ) as evidence
from avoidable
group by organization_id, month, user_id
