{%- set kinds = {
    "read": ["cache_read_input_tokens"],
    "write": [
        "cache_creation.ephemeral_5m_input_tokens",
        "cache_creation.ephemeral_1h_input_tokens",
    ],
    "uncached": ["uncached_input_tokens"],
} %}

with
    prices as (select * from {{ ref("effective_token_prices") }} where plan is distinct from 'seat'),

    -- cache reads and writes beside the uncached input of the same key and day, whose price is theirs
    keys as (
        select
            organization_id,
            activity_date,
            {{ price_dimensions() }},
            plan,
            finality,
            {% for kind, token_types in kinds.items() %}
                {%- set of_kind = "filter (where token_type in ('" ~ token_types | join("', '") ~ "'))" %}
                {%- set outer_loop = loop %}
                {% for column in ["tokens", "amount_cents", "list_amount_cents"] %}
                    -- no line is none of the kind, a line without the figure is not
                    case
                        when count(*) {{ of_kind }} = count({{ column }}) {{ of_kind }}
                        then coalesce(sum({{ column }}) {{ of_kind }}, 0)
                    end as {{ kind }}_{{ column }}{{ "," if not (loop.last and outer_loop.last) }}
                {% endfor %}
            {% endfor %}
        from prices
        group by organization_id, activity_date, {{ price_dimensions() }}, plan, finality
    ),

    priced as (
        select
            *
            {% for kind in ["read", "write"] %}
                {% for list in ["", "list_"] %}
                    ,
                    case
                        when {{ kind }}_tokens = 0
                        then 0
                        else
                            {{
                                divide_rounded(
                                    "uncached_" ~ list ~ "amount_cents",
                                    "uncached_tokens",
                                    multiplier=kind ~ "_tokens",
                                )
                            }}
                    end as {{ kind }}_as_uncached_{{ list }}amount_cents
                {% endfor %}
            {% endfor %}
        from keys
        where read_tokens > 0 or write_tokens > 0
    ),

    saved as (
        select
            *
            {% for list in ["", "list_"] %}
                ,
                read_as_uncached_{{ list }}amount_cents
                - read_{{ list }}amount_cents as {{ list }}savings_cents,
                write_{{ list }}amount_cents
                - write_as_uncached_{{ list }}amount_cents as {{ list }}write_premium_cents
            {% endfor %}
        from priced
    )

select
    organization_id,
    activity_date,
    {{ price_dimensions() }},
    plan,
    cast(read_tokens as bigint) as cache_read_input_tokens,
    cast(write_tokens as bigint) as cache_write_input_tokens,
    cast(read_amount_cents as decimal(38, 12)) as amount_cents,
    cast(read_list_amount_cents as decimal(38, 12)) as list_amount_cents,
    cast(read_as_uncached_amount_cents as decimal(38, 12)) as as_uncached_amount_cents,
    cast(read_as_uncached_list_amount_cents as decimal(38, 12)) as as_uncached_list_amount_cents,
    cast(write_amount_cents as decimal(38, 12)) as write_amount_cents,
    cast(write_list_amount_cents as decimal(38, 12)) as write_list_amount_cents,
    cast(write_as_uncached_amount_cents as decimal(38, 12)) as write_as_uncached_amount_cents,
    cast(write_as_uncached_list_amount_cents as decimal(38, 12)) as write_as_uncached_list_amount_cents,
    {% for list in ["", "list_"] %}
        {{ cents_to_usd(list ~ "savings_cents") }} as {{ list }}savings_usd,
        {{ cents_to_usd(list ~ "write_premium_cents") }} as {{ list }}write_premium_usd,
        {{ cents_to_usd(list ~ "savings_cents - " ~ list ~ "write_premium_cents") }}
        as {{ list }}net_savings_usd,
    {% endfor %}
    finality
from saved
