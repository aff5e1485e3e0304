{%- set sums = ["previous_usd", "current_usd", "change_usd"] %}

with
    compared_days as (select * from {{ ref("int_spend_change_days") }}),

    months as (
        select
            organization_id,
            cast(date_trunc('month', activity_date) as date) as month,
            count(*) as known_day_count,
            {{ worst_finality() }} as finality
        from {{ ref("int_cost_days") }}
        where finality <> 'incomplete'
        group by organization_id, date_trunc('month', activity_date)
    ),

    compared as (
        select
            organization_id,
            month,
            comparison,
            count(*) filter (where side = 'current') as compared_day_count,
            count(*) filter (where side = 'previous') as previous_compared_day_count,
            min(activity_date) filter (where side = 'current') as first_compared_date,
            max(activity_date) filter (where side = 'current') as last_compared_date,
            {{ worst_finality() }} as finality
        from compared_days
        group by organization_id, month, comparison
    ),

    changes as (
        select
            organization_id,
            month,
            {% for column in sums %} sum({{ column }}) as {{ column }}, {% endfor %}
            {% for effect in spend_change_effects() %}
                sum({{ effect }}_effect_usd) as {{ effect }}_effect_usd,
            {% endfor %}
            sum(previous_tokens) as previous_tokens,
            sum(current_tokens) as current_tokens
        from {{ ref("spend_change_drivers") }}
        group by organization_id, month
    )

select
    months.organization_id,
    months.month,
    organizations.plan,
    coalesce(compared.comparison, 'none') as comparison,
    cast(months.month + interval 1 month as date) - months.month as day_count,
    months.known_day_count,
    coalesce(compared.compared_day_count, 0) as compared_day_count,
    coalesce(compared.previous_compared_day_count, 0) as previous_compared_day_count,
    compared.first_compared_date,
    compared.last_compared_date,
    -- days without any line cost nothing; days that are not compared are not known
    {% for column in sums %}
        case when compared.month is not null then coalesce(changes.{{ column }}, 0) end as {{ column }},
    {% endfor %}
    {% for effect in spend_change_effects() %}
        case
            when compared.month is not null then coalesce(changes.{{ effect }}_effect_usd, 0)
        end as {{ effect }}_effect_usd,
    {% endfor %}
    cast(changes.previous_tokens as bigint) as previous_tokens,
    cast(changes.current_tokens as bigint) as current_tokens,
    coalesce(compared.finality, months.finality) as finality
from months
left join
    {{ ref("dim_claude_organizations") }} as organizations
    on months.organization_id = organizations.organization_id
left join compared on months.organization_id = compared.organization_id and months.month = compared.month
left join changes on months.organization_id = changes.organization_id and months.month = changes.month
