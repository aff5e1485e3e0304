{#-
    CTEs that split the true total of each of `days` into cost lines, ending in `cost_lines`.

    days          CTE: organization_id, activity_date, user_pull_id, total_pull_id, finality
    user_rows     relation as stg_user_cost_report; report_rows as stg_cost_report

    Lines are the users' rows; what a key of the grouped report has beyond its users ("placed"); and what the total has
    beyond both, without dimensions. Every answer counts once with its sign, so the lines add up to the total exactly.
-#}
{% macro cost_lines(days, user_rows, report_rows) %}
    -- with the user and without: read twice, because keeping the rows between the two takes many times the
    -- memory
    {% for name, user_id in [("user_lines", ["user_id"]), ("user_keys", [])] %}
        {{ name }} as (
            select
                user_rows.organization_id,
                user_rows.activity_date,
                {% for column in user_id %} user_rows.{{ column }}, {% endfor %}
                {{ cost_dimensions("user_rows.") }},
                sum(user_rows.amount_cents) as amount_cents,
                sum(user_rows.list_amount_cents) as list_amount_cents
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
                {% for column in user_id %} user_rows.{{ column }}, {% endfor %}
                {{ cost_dimensions("user_rows.") }}
        ),
    {% endfor %}

    report_rows as (
        select report_rows.*
        from {{ report_rows }} as report_rows
        inner join
            {{ days }} as days
            on report_rows.organization_id = days.organization_id
            and report_rows.activity_date = days.activity_date
            and report_rows.pull_id = days.total_pull_id
    ),

    listed_and_user_amounts as (
        select
            organization_id,
            activity_date,
            {{ cost_dimensions() }},
            amount_cents,
            list_amount_cents,
            true as is_listed
        from report_rows
        where not is_total
        union all
        select
            organization_id,
            activity_date,
            {{ cost_dimensions() }},
            - amount_cents as amount_cents,
            - list_amount_cents as list_amount_cents,
            false as is_listed
        from user_keys
    ),

    placed_remainders as (
        select
            organization_id,
            activity_date,
            {{ cost_dimensions() }},
            sum(amount_cents) as amount_cents,
            sum(list_amount_cents) as list_amount_cents
        from listed_and_user_amounts
        group by organization_id, activity_date, {{ cost_dimensions() }}
        having max(cast(is_listed as integer)) = 1 and coalesce({{ cost_dimensions() }}) is not null
    ),

    total_and_placed_amounts as (
        select organization_id, activity_date, amount_cents, list_amount_cents
        from report_rows
        where is_total
        union all
        select organization_id, activity_date, - amount_cents, - list_amount_cents
        from user_keys
        union all
        select organization_id, activity_date, - amount_cents, - list_amount_cents
        from placed_remainders
    ),

    unplaced_remainders as (
        select
            organization_id,
            activity_date,
            sum(amount_cents) as amount_cents,
            sum(list_amount_cents) as list_amount_cents
        from total_and_placed_amounts
        group by organization_id, activity_date
    ),

    unattributed_lines as (
        select
            organization_id,
            activity_date,
            true as is_placed,
            {{ cost_dimensions() }},
            amount_cents,
            list_amount_cents
        from placed_remainders
        union all
        select
            organization_id,
            activity_date,
            false as is_placed,
            {{ no_dimensions(cost_dimensions()) }},
            amount_cents,
            list_amount_cents
        from unplaced_remainders
    ),

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
        -- a fully discounted line has a list amount and stays
        where amount_cents <> 0 or list_amount_cents <> 0
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
