with
    prices as (select * from {{ ref("effective_token_prices") }} where plan is distinct from 'seat'),

    -- cache reads beside the uncached input of the same key and day, whose price is theirs
    keys as (
        select
            organization_id,
            activity_date,
            {{ price_dimensions() }},
            plan,
            finality,
            {% for name, token_type in [
                ("cache_read", "cache_read_input_tokens"),
                ("uncached", "uncached_input_tokens"),
            ] %}
                max(case when token_type = '{{ token_type }}' then tokens end) as {{ name }}_tokens,
                max(
                    case when token_type = '{{ token_type }}' then amount_cents end
                ) as {{ name }}_amount_cents,
                max(
                    case when token_type = '{{ token_type }}' then list_amount_cents end
                ) as {{ name }}_list_amount_cents{{ "," if not loop.last }}
            {% endfor %}
        from prices
        group by organization_id, activity_date, {{ price_dimensions() }}, plan, finality
    ),

    priced as (
        select
            *,
            {% for list in ["", "list_"] %}
                {{
                    divide_rounded(
                        "uncached_" ~ list ~ "amount_cents",
                        "uncached_tokens",
                        multiplier="cache_read_tokens",
                    )
                }} as as_uncached_{{ list }}amount_cents{{ "," if not loop.last }}
            {% endfor %}
        from keys
        where cache_read_tokens > 0
    )

select
    organization_id,
    activity_date,
    {{ price_dimensions() }},
    plan,
    cache_read_tokens as cache_read_input_tokens,
    cache_read_amount_cents as amount_cents,
    cache_read_list_amount_cents as list_amount_cents,
    as_uncached_amount_cents,
    as_uncached_list_amount_cents,
    {{ cents_to_usd("as_uncached_amount_cents - cache_read_amount_cents") }} as savings_usd,
    {{ cents_to_usd("as_uncached_list_amount_cents - cache_read_list_amount_cents") }} as list_savings_usd,
    finality
from priced
