{{ config(materialized="ephemeral") }}

{%- set key = "organization_id, month, user_id, product, " ~ price_dimensions() ~ ", token_type" %}

with
    partly_detailed_days as ({{ partly_detailed_days() }}),

    -- days whose tokens and cost are both complete, of organisations that pay for tokens
    days as (
        select
            days.organization_id,
            days.activity_date,
            partly_detailed_days.activity_date is null as is_detailed
        from {{ ref("int_spend_days") }} as days
        inner join
            {{ ref("dim_claude_organizations") }} as organizations
            on days.organization_id = organizations.organization_id
        left join
            partly_detailed_days
            on days.organization_id = partly_detailed_days.organization_id
            and days.activity_date = partly_detailed_days.activity_date
        where
            days.finality <> 'incomplete'
            and organizations.plan is distinct from 'seat'
            and {{ is_touched("days.activity_date") }}
    ),

    lines as (
        select costs.*, cast(0 as bigint) as tokens
        from {{ ref("fct_claude_costs") }} as costs
        where cost_type = 'tokens' and token_type is not null and {{ is_touched() }}
        {% for token_type, counter in token_type_counters().items() %}
            union all by name
            select
                organization_id,
                activity_date,
                user_id,
                {{ usage_dimensions() }},
                '{{ token_type }}' as token_type,
                cast(0 as decimal(38, 12)) as amount_cents,
                cast(0 as decimal(38, 12)) as list_amount_cents,
                {{ counter }} as tokens
            from {{ ref("fct_claude_usage") }}
            where {{ counter }} <> 0 and {{ is_touched() }}
        {% endfor %}
    ),

    monthly as (
        select lines.*, cast(date_trunc('month', lines.activity_date) as date) as month
        from lines
        inner join
            days on lines.organization_id = days.organization_id and lines.activity_date = days.activity_date
        where lines.user_id is not null or days.is_detailed
    )

select {{ key }}, {{ sums_of(["amount_cents", "list_amount_cents", "tokens"]) }}
from monthly
group by {{ key }}
