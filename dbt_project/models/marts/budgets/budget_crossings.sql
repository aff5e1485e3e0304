{%- set key = ["organization_id", "budget_id", "scope_value", "period_start", "threshold_percent"] %}

with
    periods as (select *, unnest(warn_percents) as threshold_percent from {{ ref("int_budget_periods") }}),

    -- what each moment of the ledger added to the period's total, or took from it
    changes as (
        {% for moment, sign in [("valid_from", ""), ("valid_to", "-")] %}
            select
                {% for column in key %} periods.{{ column }}, {% endfor %}
                periods.limit_cents,
                spend.{{ moment }} as known_at,
                {{ sign }}spend.amount_cents as change_cents
            from periods
            inner join {{ ref("int_budget_spend") }} as spend on {{ counts_towards_period() }}
            where spend.{{ moment }} is not null {{ "union all" if not loop.last }}
        {% endfor %}
    ),

    moments as (
        select {{ key | join(", ") }}, limit_cents, known_at, sum(change_cents) as change_cents
        from changes
        group by {{ key | join(", ") }}, limit_cents, known_at
    ),

    totals as (
        select
            *,
            sum(change_cents) over moments_of_threshold as total_cents,
            lead(known_at) over moments_of_threshold as replaced_at
        from moments
        window moments_of_threshold as (partition by {{ key | join(", ") }} order by known_at)
    ),

    crossed as (
        select
            {{ key | join(", ") }},
            min(known_at) as first_known_at,
            max(known_at) as last_known_at,
            max(replaced_at) as replaced_at,
            count(case when replaced_at is null then 1 end) > 0 as is_crossed
        from totals
        where {{ reaches_percent("total_cents", "threshold_percent", "limit_cents") }}
        group by {{ key | join(", ") }}
    ),

    -- the period's days as they were known when the threshold was last crossed
    running_totals as (
        select
            {% for column in key %} periods.{{ column }}, {% endfor %}
            periods.limit_cents,
            spend.activity_date,
            sum(spend.amount_cents) over (
                partition by
                    {% for column in key %} periods.{{ column }}{{ "," if not loop.last }} {% endfor %}
                order by spend.activity_date
            ) as running_cents
        from crossed
        inner join periods using ({{ key | join(", ") }})
        inner join
            {{ ref("int_budget_spend") }} as spend
            on {{ counts_towards_period() }}
            and spend.valid_from <= crossed.last_known_at
            and (spend.valid_to is null or spend.valid_to > crossed.last_known_at)
    ),

    crossing_days as (
        select {{ key | join(", ") }}, min(activity_date) as crossed_on
        from running_totals
        where {{ reaches_percent("running_cents", "threshold_percent", "limit_cents") }}
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
    periods.limit_usd,
    periods.threshold_percent,
    crossing_days.crossed_on,
    crossed.first_known_at,
    case when not crossed.is_crossed then cast(crossed.replaced_at as date) end as uncrossed_on,
    case when not crossed.is_crossed then crossed.replaced_at end as uncrossed_at,
    periods.finality
from crossed
inner join periods using ({{ key | join(", ") }})
inner join crossing_days using ({{ key | join(", ") }})
