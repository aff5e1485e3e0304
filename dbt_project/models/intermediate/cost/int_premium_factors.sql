{#- Premium to the dimension it is in, its dear and its plain value, and the other dimension, in which a pair is alike. -#}
{%- set premiums = {
    "fast": ("speed", "fast", "standard", "inference_geo"),
    "us": ("inference_geo", "us", "global", "speed"),
} %}

with
    prices as (
        select * from {{ ref("effective_token_prices") }} where list_usd_per_million_tokens > 0 and tokens > 0
    ),

    -- the same kind of token of a model on a day, once dear and once plain
    {% for premium, (dimension, dear, plain, other) in premiums.items() %}
        {{ premium }}_days as (
            select
                dear.organization_id,
                dear.activity_date,
                dear.model,
                {{
                    divide_rounded(
                        "sum(dear.tokens * dear.list_usd_per_million_tokens)",
                        "sum(dear.tokens * plain.list_usd_per_million_tokens) * 1000000",
                        multiplier=1000000,
                        digits=4,
                    )
                }} as factor
            from prices as dear
            inner join
                prices as plain
                on dear.organization_id = plain.organization_id
                and dear.activity_date = plain.activity_date
                and dear.model = plain.model
                and dear.token_type = plain.token_type
                and dear.context_window is not distinct from plain.context_window
                and dear.{{ other }} is not distinct from plain.{{ other }}
            where dear.{{ dimension }} = '{{ dear }}' and plain.{{ dimension }} = '{{ plain }}'
            group by dear.organization_id, dear.activity_date, dear.model
        ),
    {% endfor %}

    model_days as (
        select distinct organization_id, activity_date, model
        from {{ ref("int_premium_tokens") }}
        where model is not null
    )

select
    model_days.organization_id,
    model_days.activity_date,
    model_days.model,
    {% for premium in premiums %}
        coalesce(
            last_value({{ premium }}_days.factor ignore nulls) over up_to_now,
            first_value({{ premium }}_days.factor ignore nulls) over from_now
        ) as {{ premium }}_factor{{ "," if not loop.last }}
    {% endfor %}
from model_days
{% for premium in premiums %}
    left join
        {{ premium }}_days
        on model_days.organization_id = {{ premium }}_days.organization_id
        and model_days.activity_date = {{ premium }}_days.activity_date
        and model_days.model = {{ premium }}_days.model
{% endfor %}
window
    up_to_now as (
        partition by model_days.organization_id, model_days.model
        order by model_days.activity_date
        rows between unbounded preceding and current row
    ),
    from_now as (
        partition by model_days.organization_id, model_days.model
        order by model_days.activity_date
        rows between current row and unbounded following
    )
