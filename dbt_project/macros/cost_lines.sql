{#-
    CTEs that split the true total of each of `days` into cost lines, ending in `cost_lines`.

    days          CTE: organization_id, activity_date, user_pull_id, total_pull_id, finality
    user_rows     relation as stg_user_cost_report; report_rows as stg_cost_report

    Lines are the users' rows, and what the total has beyond them at the finest grain that complete answers tell.
-#}
{% macro cost_lines(days, user_rows, report_rows) %}
    user_lines as (
        select
            user_rows.organization_id,
            user_rows.activity_date,
            user_rows.user_id,
            {{ cost_dimensions("user_rows.") }},
            {{ sums_of(["amount_cents", "list_amount_cents"]) }}
        from {{ user_rows }} as user_rows
        inner join
            {{ days }} as days
            on user_rows.organization_id = days.organization_id
            and user_rows.activity_date = days.activity_date
            and user_rows.pull_id = days.user_pull_id
        -- what names no user account is unattributed
        where user_rows.user_id is not null
        group by
            user_rows.organization_id,
            user_rows.activity_date,
            user_rows.user_id,
            {{ cost_dimensions("user_rows.") }}
    ),

    user_keys as (
        select
            organization_id,
            activity_date,
            {{ cost_dimensions() }},
            {{ sums_of(["amount_cents", "list_amount_cents"]) }}
        from user_lines
        group by organization_id, activity_date, {{ cost_dimensions() }}
    ),

    report_rows as (
        select report_rows.*
        from {{ report_rows }} as report_rows
        inner join
            {{ days }} as days
            on report_rows.organization_id = days.organization_id
            and report_rows.activity_date = days.activity_date
            and report_rows.pull_id = days.total_pull_id
    ),

    -- a fully discounted line has a list amount and stays
    {{
        unattributed_lines(
            cost_dimensions(),
            ["amount_cents", "list_amount_cents"],
            sums_of(["amount_cents", "list_amount_cents"]),
            "sum(amount_cents) <> 0 or sum(list_amount_cents) <> 0",
        )
    }},

    lines as (
        select
            organization_id,
            activity_date,
            user_id,
            'user' as attribution,
            true as is_placed,
            {{ cost_dimensions() }},
            amount_cents,
            list_amount_cents
        from user_lines
        union all
        select
            organization_id,
            activity_date,
            cast(null as varchar) as user_id,
            'unattributed' as attribution,
            is_placed,
            {{ cost_dimensions() }},
            amount_cents,
            list_amount_cents
        from unattributed_lines
    ),

    cost_lines as (
        select
            lines.*,
            {{ cents_to_usd("lines.amount_cents") }} as amount_usd,
            {{ cents_to_usd("lines.list_amount_cents") }} as list_amount_usd,
            -- landing refuses any other
            'USD' as currency,
            days.finality,
            case when lines.attribution = 'user' then days.user_pull_id else days.total_pull_id end as pull_id
        from lines
        inner join
            {{ days }} as days
            on lines.organization_id = days.organization_id
            and lines.activity_date = days.activity_date
    )
{% endmacro %}
