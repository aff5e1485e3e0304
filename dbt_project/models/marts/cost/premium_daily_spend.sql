with
    spend as (select * from {{ ref("int_premium_spend") }}),

    tokens as (
        select
            tokens.*,
            case when tokens.speed = 'fast' then factors.fast_factor else 1 end as fast_factor,
            case when tokens.inference_geo = 'us' then factors.us_factor else 1 end as us_factor
        from {{ ref("int_premium_tokens") }} as tokens
        left join
            {{ ref("int_premium_factors") }} as factors
            on tokens.organization_id = factors.organization_id
            and tokens.activity_date = factors.activity_date
            and tokens.model = factors.model
    ),

    -- a factor has four fractional digits: with two of them the amount is taken times 10^8
    plain_tokens as (
        select
            organization_id,
            activity_date,
            speed,
            inference_geo,
            {% for list in ["", "list_"] %}
                case
                    when fast_factor = 1 and us_factor = 1
                    then {{ list }}amount_cents
                    else
                        {{
                            divide_rounded(
                                list ~ "amount_cents",
                                "fast_factor * 10000 * us_factor * 10000",
                                multiplier=100000000,
                            )
                        }}
                end as {{ list }}amount_cents{{ "," if not loop.last }}
            {% endfor %}
        from tokens
    ),

    plain_sums as (
        select
            organization_id,
            activity_date,
            speed,
            inference_geo,
            {{
                sums_of(
                    ["amount_cents", "list_amount_cents"], nullable=["amount_cents", "list_amount_cents"]
                )
            }}
        from plain_tokens
        group by organization_id, activity_date, speed, inference_geo
    ),

    -- only tokens carry the factors: a search costs the same at any speed and in any place
    at_standard as (
        select
            spend.*,
            {% for list in ["", "list_"] %}
                spend.{{ list }}amount_cents
                - spend.token_{{ list }}amount_cents
                + case
                    when plain_sums.organization_id is null then 0 else plain_sums.{{ list }}amount_cents
                end as standard_{{ list }}amount_cents{{ "," if not loop.last }}
            {% endfor %}
        from spend
        left join
            plain_sums
            on spend.organization_id = plain_sums.organization_id
            and spend.activity_date = plain_sums.activity_date
            and spend.speed is not distinct from plain_sums.speed
            and spend.inference_geo is not distinct from plain_sums.inference_geo
    )

select
    organization_id,
    activity_date,
    speed,
    inference_geo,
    plan,
    {{ daily_spend_amounts() }},
    cast(standard_amount_cents as decimal(38, 12)) as standard_amount_cents,
    cast(standard_list_amount_cents as decimal(38, 12)) as standard_list_amount_cents,
    {{ cents_to_usd("standard_amount_cents") }} as standard_amount_usd,
    {{ cents_to_usd("standard_list_amount_cents") }} as standard_list_amount_usd,
    {{ cents_to_usd("amount_cents - standard_amount_cents") }} as premium_amount_usd,
    {{ cents_to_usd("list_amount_cents - standard_list_amount_cents") }} as premium_list_amount_usd,
    {{ daily_spend_counts() }},
    finality,
    built_through_sequence
from at_standard
