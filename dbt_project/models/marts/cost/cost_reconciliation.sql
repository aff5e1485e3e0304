{{
    config(
        materialized="incremental",
        incremental_strategy="replace_days",
        meta={"endpoints": ["user_cost_report", "cost_report"]},
    )
}}
{%- set amounts = ["", "list_"] %}
{%- set group_grains = ["key", "product_model", "product"] %}

with
    days as (select * from {{ ref("int_cost_days") }} where {{ is_touched() }}),

    answers as (
        select answers.*
        from {{ ref("int_cost_answers") }} as answers
        inner join
            days
            on answers.organization_id = days.organization_id
            and answers.activity_date = days.activity_date
            and answers.pull_id = days.total_pull_id
        where {{ is_touched("answers.activity_date") }}
    ),

    user_rows as (
        select user_rows.*
        from {{ ref("stg_user_cost_report") }} as user_rows
        inner join
            days
            on user_rows.organization_id = days.organization_id
            and user_rows.activity_date = days.activity_date
            and user_rows.pull_id = days.user_pull_id
        where user_rows.user_id is not null and {{ is_touched("user_rows.activity_date") }}
    ),

    unattributed_lines as (
        select * from {{ ref("fct_claude_costs") }} where attribution = 'unattributed' and {{ is_touched() }}
    ),

    report_sums as (
        select
            organization_id,
            activity_date,
            {% for list in amounts %}
                sum(case when grain = 'day' then {{ list }}amount_cents end) as {{ list }}total_cents,
                {% for grain in group_grains %}
                    coalesce(
                        sum(case when grain = '{{ grain }}' then {{ list }}amount_cents end), 0
                    ) as {{ list }}{{ grain }}_cents,
                    coalesce(
                        sum(
                            case
                                when grain = '{{ grain }}' and {{ list }}amount_cents < 0
                                then {{ list }}amount_cents
                            end
                        ),
                        0
                    ) as {{ list }}{{ grain }}_credit_cents,
                {% endfor %}
            {% endfor %}
            count(case when is_whole_detail then 1 end) >= {{ var("group_cap") }} as capped,
            min(cast(is_list_amount_known as integer)) = 1 as is_list_amount_known
        from answers
        group by organization_id, activity_date
    ),

    -- what the report itself takes back: groups below zero, and a total below what its groups add up to
    report_totals as (
        select
            *,
            {% for list in amounts %}
                least(
                    {% for grain in group_grains %}
                        {{ list }}{{ grain }}_credit_cents + case
                            when {{ list }}total_cents < {{ list }}{{ grain }}_cents
                            then {{ list }}total_cents - {{ list }}{{ grain }}_cents
                            else 0
                        end {{ "," if not loop.last }}
                    {% endfor %}
                ) as {{ list }}credit_cents{{ "," if not loop.last }}
            {% endfor %}
        from report_sums
    ),

    user_totals as (
        select
            organization_id,
            activity_date,
            sum(amount_cents) as user_cents,
            sum(list_amount_cents) as list_user_cents,
            min(cast(is_list_amount_known as integer)) = 1 as is_list_amount_known
        from user_rows
        group by organization_id, activity_date
    ),

    remainders as (
        select
            organization_id,
            activity_date,
            {% for list in amounts %}
                sum({{ list }}amount_cents) as {{ list }}unattributed_cents,
                sum(case when is_placed then {{ list }}amount_cents end) as {{ list }}placed_cents,
                sum(case when not is_placed then {{ list }}amount_cents end) as {{ list }}unplaced_cents,
                sum(
                    case when {{ list }}amount_cents < 0 then {{ list }}amount_cents end
                ) as {{ list }}negative_remainder_cents{{ "," if not loop.last }}
            {% endfor %}
        from unattributed_lines
        group by organization_id, activity_date
    ),

    reconciled as (
        select
            days.organization_id,
            days.activity_date,
            {% for list in amounts %}
                -- an answer without rows is a zero, a missing answer is a null
                case
                    when days.total_pull_id is not null then coalesce(report_totals.{{ list }}total_cents, 0)
                end as {{ list }}total_cents,
                case
                    when days.user_pull_id is not null then coalesce(user_totals.{{ list }}user_cents, 0)
                end as {{ list }}user_cents,
                case
                    when days.total_pull_id is not null then coalesce(report_totals.{{ list }}credit_cents, 0)
                end as {{ list }}credit_cents,
                {% for part in ["unattributed", "placed", "unplaced", "negative_remainder"] %}
                    case
                        when days.total_pull_id is not null
                        then coalesce(remainders.{{ list }}{{ part }}_cents, 0)
                    end as {{ list }}{{ part }}_cents,
                {% endfor %}
            {% endfor %}
            coalesce(report_totals.capped, false) as capped,
            coalesce(report_totals.is_list_amount_known, true)
            and coalesce(user_totals.is_list_amount_known, true) as is_list_amount_known,
            days.total_pull_id,
            days.user_pull_id,
            days.finality
        from days
        left join
            report_totals
            on days.organization_id = report_totals.organization_id
            and days.activity_date = report_totals.activity_date
        left join
            user_totals
            on days.organization_id = user_totals.organization_id
            and days.activity_date = user_totals.activity_date
        left join
            remainders
            on days.organization_id = remainders.organization_id
            and days.activity_date = remainders.activity_date
    )

select
    organization_id,
    activity_date,
    {% for list in amounts %}
        {{ list }}total_cents,
        {{ list }}user_cents,
        {{ list }}unattributed_cents,
        {{ list }}placed_cents,
        {{ list }}unplaced_cents,
        {{ list }}negative_remainder_cents,
        cast({{ list }}credit_cents as decimal(38, 12)) as {{ list }}credit_cents,
    {% endfor %}
    capped,
    is_list_amount_known,
    case
        when total_pull_id is null
        then 'missing_total'
        when user_pull_id is null
        then 'missing_users'
        when
            negative_remainder_cents - credit_cents < - {{ remainder_dust() }}
            or (
                is_list_amount_known
                and list_negative_remainder_cents - list_credit_cents < - {{ remainder_dust() }}
            )
        then 'negative_remainder'
        else 'exact'
    end as status,
    finality,
    total_pull_id,
    user_pull_id,
    {{ built_through_sequence(["fct_claude_costs"]) }} as built_through_sequence
from reconciled
