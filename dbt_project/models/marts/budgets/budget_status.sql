{%- set key = ["organization_id", "budget_id", "scope_value", "period_start"] %}

with
    periods as (select * from {{ ref("int_budget_periods") }}),

    spent as (
        select
            {% for column in key %} periods.{{ column }}, {% endfor %}
            periods.limit_cents,
            periods.warn_percents,
            -- no line is no cost on the days that are known; the others are counted beside it
            coalesce(sum(spend.amount_cents), 0) as spent_cents
        from periods
        left join
            {{ ref("int_budget_spend") }} as spend on {{ counts_towards_period() }} and spend.valid_to is null
        group by all
    ),

    thresholds as (select *, unnest(warn_percents) as threshold_percent from spent),

    crossed as (
        select {{ key | join(", ") }}, max(threshold_percent) as threshold_crossed
        from thresholds
        where {{ reaches_percent("spent_cents", "threshold_percent", "limit_cents") }}
        group by {{ key | join(", ") }}
    )

select
    periods.organization_id,
    periods.budget_id,
    periods.scope,
    periods.scope_value,
    periods.period,
    periods.period_start,
    periods.period_end,
    cast(date_trunc('month', periods.period_start) as date) as month,
    periods.newest_date,
    periods.limit_usd,
    {{ cents_to_usd("spent.spent_cents") }} as spent_usd,
    {{ divide_rounded("spent.spent_cents", "spent.limit_cents", multiplier=100, digits=4) }} as percent_used,
    crossed.threshold_crossed,
    case
        when spent.spent_cents > spent.limit_cents
        then 'exceeded'
        when crossed.threshold_crossed is not null
        then 'warning'
        else 'ok'
    end as status,
    periods.known_day_count,
    periods.provisional_day_count,
    periods.unknown_day_count,
    periods.first_unknown_date,
    periods.finality
from periods
inner join spent using ({{ key | join(", ") }})
left join crossed using ({{ key | join(", ") }})
