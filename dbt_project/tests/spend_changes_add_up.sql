{{ config(meta={"dagster": {"ref": {"name": "spend_changes"}}}) }}

-- for the months written since it last held: the drivers and their effects add up to the facts of the
-- compared days
with
    drivers as (select * from {{ get_where_subquery(ref("spend_change_drivers")) }}),

    explained as (
        select
            organization_id,
            month,
            sum(previous_usd) as previous_usd,
            sum(current_usd) as current_usd,
            sum(
                {% for effect in spend_change_effects() %}
                    {{ effect }}_effect_usd {{ "+" if not loop.last }}
                {% endfor %}
            ) as effects_usd
        from drivers
        group by organization_id, month
    ),

    compared_days as (
        select *
        from {{ ref("int_spend_change_days") }}
        where (organization_id, month) in (select organization_id, month from explained)
    ),

    spent as (
        select
            days.organization_id,
            days.month,
            coalesce(sum(costs.amount_usd) filter (where days.side = 'previous'), 0) as previous_usd,
            coalesce(sum(costs.amount_usd) filter (where days.side = 'current'), 0) as current_usd
        from compared_days as days
        inner join
            {{ ref("product_daily_spend") }} as costs
            on days.organization_id = costs.organization_id
            and days.activity_date = costs.activity_date
        group by days.organization_id, days.month
    )

select
    explained.organization_id,
    explained.month,
    explained.previous_usd,
    explained.current_usd,
    explained.effects_usd,
    coalesce(spent.previous_usd, 0) as spent_previously_usd,
    coalesce(spent.current_usd, 0) as spent_usd,
    changes.change_usd
from explained
inner join
    {{ ref("spend_changes") }} as changes
    on explained.organization_id = changes.organization_id
    and explained.month = changes.month
left join spent on explained.organization_id = spent.organization_id and explained.month = spent.month
where
    explained.previous_usd <> coalesce(spent.previous_usd, 0)
    or explained.current_usd <> coalesce(spent.current_usd, 0)
    or explained.effects_usd <> explained.current_usd - explained.previous_usd
    or changes.change_usd is distinct from explained.effects_usd
