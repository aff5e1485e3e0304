{{ config(materialized="ephemeral") }}

{%- set item = "organization_id, month, product, " ~ price_dimensions() ~ ", token_type" %}

with
    partly_detailed_days as ({{ partly_detailed_days(days_before=31) }}),

    -- where tokens and cost can be set against each other, as in effective_token_prices: on both sides or
    -- on none
    days as (
        select
            days.*,
            organizations.plan,
            days.has_tokens and organizations.plan is distinct from 'seat' as is_priced,
            bool_and(partly_detailed_days.activity_date is null) over (
                partition by days.organization_id, days.month, day(days.activity_date)
            ) as is_detailed
        from {{ ref("int_spend_change_days") }} as days
        left join
            {{ ref("dim_claude_organizations") }} as organizations
            on days.organization_id = organizations.organization_id
        left join
            partly_detailed_days
            on days.organization_id = partly_detailed_days.organization_id
            and days.activity_date = partly_detailed_days.activity_date
        where {{ is_touched("days.month") }}
    ),

    cost_lines as (
        select
            costs.*,
            days.month,
            days.side,
            days.is_priced and (costs.user_id is not null or days.is_detailed) as is_priced
        from {{ ref("fct_claude_costs") }} as costs
        inner join
            days on costs.organization_id = days.organization_id and costs.activity_date = days.activity_date
        where {{ is_touched("costs.activity_date", days_before=31) }}
    ),

    usage_lines as (
        select usage.*, days.month, days.side
        from {{ ref("fct_claude_usage") }} as usage
        inner join
            days on usage.organization_id = days.organization_id and usage.activity_date = days.activity_date
        where
            days.is_priced
            and (usage.user_id is not null or days.is_detailed)
            and {{ is_touched("usage.activity_date", days_before=31) }}
    ),

    users_of_one_side as (
        select organization_id, month, user_id, min(side) as side
        from cost_lines
        where user_id is not null and amount_cents <> 0
        group by organization_id, month, user_id
        having min(side) = max(side)
    ),

    -- what an amount is explained by, and the tokens of what is explained by its price
    lines as (
        select
            {{ item.replace("organization_id, month", "lines.organization_id, lines.month") }},
            lines.side,
            case
                when lines.amount_cents < 0
                then 'credits'
                when users.side = 'current'
                then 'new_users'
                when users.side = 'previous'
                then 'gone_users'
                when lines.is_priced and lines.cost_type = 'tokens' and lines.token_type is not null
                then 'priced'
                else 'other'
            end as explained_by,
            lines.amount_cents,
            lines.list_amount_cents,
            cast(0 as bigint) as tokens
        from cost_lines as lines
        left join
            users_of_one_side as users
            on lines.organization_id = users.organization_id
            and lines.month = users.month
            and lines.user_id = users.user_id
        {% for token_type, counter in token_type_counters().items() %}
            union all
            select
                {{
                    item.replace("organization_id, month", "lines.organization_id, lines.month").replace(
                        "token_type", "'" ~ token_type ~ "' as token_type"
                    )
                }},
                lines.side,
                'priced' as explained_by,
                cast(0 as decimal(38, 12)) as amount_cents,
                cast(0 as decimal(38, 12)) as list_amount_cents,
                lines.{{ counter }} as tokens
            from usage_lines as lines
            left join
                users_of_one_side as users
                on lines.organization_id = users.organization_id
                and lines.month = users.month
                and lines.user_id = users.user_id
            where lines.{{ counter }} <> 0 and users.user_id is null
        {% endfor %}
    ),

    sums as (
        select
            {{ item }},
            {% for side in ["previous", "current"] %}
                {% for column in ["amount_cents", "list_amount_cents", "tokens"] %}
                    coalesce(
                        sum({{ column }}) filter (where side = '{{ side }}'), 0
                    ) as {{ side }}_{{ column }},
                {% endfor %}
            {% endfor %}
            explained_by
        from lines
        group by {{ item }}, explained_by
    ),

    -- cost without tokens has no price
    items as (
        select
            * exclude (explained_by),
            case
                when
                    explained_by = 'priced'
                    and (
                        least(previous_tokens, current_tokens) < 0
                        or (previous_tokens = 0 and previous_amount_cents <> 0)
                        or (current_tokens = 0 and current_amount_cents <> 0)
                    )
                then 'other'
                else explained_by
            end as explained_by
        from sums
    )

select
    * exclude (explained_by),
    case
        when items.explained_by <> 'priced'
        then items.explained_by
        when max(previous_tokens) over of_model = 0
        then 'new_models'
        when max(current_tokens) over of_model = 0
        then 'gone_models'
        else 'priced'
    end as explained_by
from items
window of_model as (partition by organization_id, month, product, model, items.explained_by)
