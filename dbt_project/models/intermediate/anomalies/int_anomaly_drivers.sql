{%- set key = "organization_id, scope, scope_value, metric, activity_date, kind" %}

with
    people as (select * from {{ ref("int_anomaly_days") }} where scope in ('user', 'user_product')),

    lines as (
        {% for metric, (relation, column) in {
            "amount_usd": (ref("fct_claude_costs"), "amount_usd"),
            "total_tokens": (ref("fct_claude_usage"), "total_tokens"),
        }.items() %}
            select
                organization_id,
                user_id,
                '{{ metric }}' as metric,
                activity_date as line_date,
                product,
                model,
                speed,
                cast({{ column }} as decimal(38, 14)) as amount
            from {{ relation }}
            where attribution = 'user' {{ "union all" if not loop.last }}
        {% endfor %}
    ),

    parts as (
        select
            {{ key }},
            product,
            model,
            speed,
            any_value(window_days) as window_days,
            sum(case when line_date > activity_date - window_days then amount else 0 end) as amount,
            sum(case when line_date <= activity_date - window_days then amount else 0 end) as amount_before
        from people
        inner join lines using (organization_id, user_id, metric)
        where
            line_date between activity_date - window_days - 55 and activity_date
            and (product_of_user is null or product = product_of_user)
        group by {{ key }}, product, model, speed
    ),

    -- an organisation's, a product's or a model's day is explained by a person
    segments as (
        select * from {{ ref("int_anomaly_days") }} where scope in ('organization', 'product', 'model')
    ),

    members as (
        select
            organization_id,
            activity_date as line_date,
            user_id as member_id,
            product,
            model,
            unnest(['amount_usd', 'total_tokens']) as metric,
            unnest([{{ cents_to_usd("amount_cents") }}, cast(total_tokens as decimal(38, 14))]) as amount
        from {{ ref("int_user_spend_lines") }}
    ),

    member_parts as (
        select
            {{ key }},
            member_id,
            sum(case when line_date = activity_date then amount else 0 end) as amount,
            sum(case when line_date < activity_date then amount else 0 end) as amount_before
        from segments
        inner join members using (organization_id, metric)
        where
            line_date between activity_date - 30 and activity_date
            and (scope <> 'product' or product = scope_value)
            and (scope <> 'model' or model = scope_value)
        group by {{ key }}, member_id
    ),

    -- beyond the window's days at the pace of the days before it
    excesses as (
        select
            {{ key }},
            product,
            model,
            speed,
            cast(null as varchar) as driving_user_id,
            amount - cast(
                {{ divide_rounded("amount_before", "56", multiplier="window_days") }} as decimal(38, 14)
            ) as excess
        from parts
        union all by name
        select
            {{ key }},
            member_id as driving_user_id,
            amount - cast({{ divide_rounded("amount_before", "30") }} as decimal(38, 14)) as excess
        from member_parts
    )

select *
from excesses
qualify
    row_number() over (partition by {{ key }} order by excess desc, product, model, speed, driving_user_id)
    = 1
