{#- Of every organisation, budget or not: a budget that is new also has the days that were. -#}
{{
    config(
        materialized="incremental",
        incremental_strategy="replace_days",
        meta={"endpoints": ["user_cost_report", "cost_report"]},
    )
}}

with
    lines as (select * from {{ ref("int_cost_lines") }} where {{ is_touched() }}),

    spend as (
        select
            organization_id,
            activity_date,
            valid_from,
            valid_to,
            case
                when grouping(user_id) = 0
                then 'user'
                when grouping(product) = 0
                then 'product'
                when grouping(model) = 0
                then 'model'
                else 'organization'
            end as scope,
            user_id,
            product,
            model,
            sum(amount_cents) as amount_cents
        from lines
        group by
            organization_id, activity_date, valid_from, valid_to, grouping sets ((), user_id, product, model)
    )

select
    organization_id,
    activity_date,
    valid_from,
    valid_to,
    scope,
    case
        scope
        when 'user'
        then user_id
        when 'product'
        then product
        when 'model'
        then model
        else organization_id
    end as scope_value,
    amount_cents,
    {{ built_through_sequence() }} as built_through_sequence
from spend
where scope in ('organization', 'user') or coalesce(product, model) is not null
