with
    tier_usage as (select * from {{ ref("stg_tier_usage") }} where service_tier like 'priority%'),

    pulls as (select * from {{ ref("stg_current_pulls") }} where endpoint = 'usage'),

    tokens as (
        {% for token_type, counter in token_type_counters().items() %}
            {{ "union all" if not loop.first }}
            select
                organization_id,
                activity_date,
                pull_id,
                model,
                '{{ token_type }}' as token_type,
                sum(coalesce({{ counter }}, 0)) as tokens
            from tier_usage
            group by organization_id, activity_date, pull_id, model
        {% endfor %}
    ),

    -- the organisation's own list price, of the newest day up to the one in question
    observed_prices as (
        select
            organization_id,
            activity_date,
            model,
            token_type,
            {{ divide_rounded("sum(list_amount_cents)", "sum(tokens)", multiplier=10000, digits=6) }} as price
        from {{ ref("effective_token_prices") }}
        where
            tokens > 0
            and list_amount_cents > 0
            and plan is distinct from 'seat'
            and coalesce(speed, 'standard') = 'standard'
            and coalesce(inference_geo, 'global') = 'global'
            and coalesce(context_window, '0-200k') = '0-200k'
        group by organization_id, activity_date, model, token_type
    ),

    observed as (
        select
            tokens.organization_id,
            tokens.activity_date,
            tokens.model,
            tokens.token_type,
            observed_prices.price,
            row_number() over (
                partition by tokens.organization_id, tokens.activity_date, tokens.model, tokens.token_type
                order by observed_prices.activity_date desc
            ) as newest_rank
        from tokens
        inner join
            observed_prices
            on tokens.organization_id = observed_prices.organization_id
            and tokens.model = observed_prices.model
            and tokens.token_type = observed_prices.token_type
            and observed_prices.activity_date <= tokens.activity_date
    ),

    listed as (
        select
            tokens.organization_id,
            tokens.activity_date,
            tokens.model,
            tokens.token_type,
            list_prices.usd_per_million_tokens as price,
            row_number() over (
                partition by tokens.organization_id, tokens.activity_date, tokens.model, tokens.token_type
                order by length(list_prices.model_prefix) desc, list_prices.valid_from desc
            ) as best_rank
        from tokens
        inner join
            {{ ref("list_prices") }} as list_prices
            on tokens.model like list_prices.model_prefix || '%'
            and tokens.token_type = list_prices.token_type
            and list_prices.valid_from <= tokens.activity_date
    ),

    priced as (
        select
            tokens.*,
            coalesce(observed.price, listed.price) as price,
            case
                when observed.price is not null
                then 'observed'
                when listed.price is not null
                then 'list_prices'
            end as price_source
        from tokens
        left join
            observed
            on tokens.organization_id = observed.organization_id
            and tokens.activity_date = observed.activity_date
            and tokens.model = observed.model
            and tokens.token_type = observed.token_type
            and observed.newest_rank = 1
        left join
            listed
            on tokens.organization_id = listed.organization_id
            and tokens.activity_date = listed.activity_date
            and tokens.model = listed.model
            and tokens.token_type = listed.token_type
            and listed.best_rank = 1
    ),

    estimates as (
        select
            organization_id,
            activity_date,
            pull_id,
            model,
            {% for token_type, counter in token_type_counters().items() %}
                sum(case when token_type = '{{ token_type }}' then tokens end) as {{ counter }},
            {% endfor %}
            sum(tokens) as total_tokens,
            sum(case when price is null then tokens else 0 end) as unpriced_tokens,
            -- tokens x dollars per million = 1/10,000 cents
            sum(cast(tokens as decimal(18, 0)) * cast(price as decimal(16, 6)) * 0.0001) as estimated_cents,
            case
                when count(distinct case when tokens > 0 then price_source end) > 1
                then 'mixed'
                else max(case when tokens > 0 then price_source end)
            end as price_source
        from priced
        group by organization_id, activity_date, pull_id, model
    )

select
    estimates.organization_id,
    estimates.activity_date,
    estimates.model,
    {% for counter in token_counters() + ["total_tokens", "unpriced_tokens"] %}
        cast(estimates.{{ counter }} as bigint) as {{ counter }},
    {% endfor %}
    estimates.price_source,
    cast(estimates.estimated_cents as decimal(38, 12)) as estimated_list_amount_cents,
    {{ cents_to_usd("cast(estimates.estimated_cents as decimal(38, 12))") }} as estimated_list_amount_usd,
    true as is_estimate,
    pulls.finality,
    estimates.pull_id
from estimates
inner join
    pulls
    on estimates.organization_id = pulls.organization_id
    and estimates.activity_date = pulls.activity_date
    and estimates.pull_id = pulls.pull_id
