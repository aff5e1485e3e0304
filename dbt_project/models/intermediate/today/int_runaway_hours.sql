with
    -- the newest look at the hours of each person
    hours as (
        select
            looks.organization_id,
            amounts.user_id,
            amounts.starting_at as hour,
            amounts.product,
            amounts.model,
            amounts.amount_cents
        from {{ ref("stg_watch_amounts") }} as amounts
        inner join {{ ref("stg_watch_looks") }} as seen using (look_id)
        inner join
            {{ ref("int_today_looks") }} as looks
            on seen.organization_id = looks.organization_id
            and seen.activity_date = looks.activity_date
        where amounts.query = 'user_hours' and amounts.user_id <> '{{ erased_user() }}'
        qualify
            rank() over (partition by looks.organization_id, amounts.user_id order by seen.look_sequence desc)
            = 1
    ),

    largest as (
        select
            organization_id,
            user_id,
            product as top_product,
            model as top_model,
            sum(amount_cents) as top_cents,
            max(amount_cents) as dearest_hour_cents
        from hours
        group by organization_id, user_id, product, model
        qualify
            row_number() over (
                partition by organization_id, user_id
                order by sum(amount_cents) desc, product nulls last, model nulls last
            )
            = 1
    )

select
    organization_id,
    user_id,
    top_product,
    top_model,
    {{ cents_to_usd("top_cents") }} as top_usd,
    -- it began with the first hour that cost a tenth of the dearest
    min(hour) as since_hour
from largest
inner join hours using (organization_id, user_id)
where
    product is not distinct from top_product
    and model is not distinct from top_model
    and 10 * amount_cents >= dearest_hour_cents
group by organization_id, user_id, top_product, top_model, top_cents
