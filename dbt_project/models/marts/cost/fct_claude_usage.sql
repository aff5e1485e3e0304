{{
    config(
        materialized="incremental",
        incremental_strategy="replace_days",
        meta={"endpoints": ["user_usage_report", "usage_report"]},
    )
}}
{%- set counters = token_counters() + ["web_search_requests"] %}
{%- set all_counters = counters + ["requests"] %}

with
    -- a day whose true total is not known has no lines yet
    days as (
        select * from {{ ref("int_usage_days") }} where total_pull_id is not null and {{ is_touched() }}
    ),

    user_lines as (
        select
            user_rows.organization_id,
            user_rows.activity_date,
            user_rows.user_id,
            {{ usage_dimensions("user_rows.") }},
            {{ sums_of(counters) }},
            {{ sum_if_all_known("requests") }} as requests
        from {{ ref("stg_user_usage_report") }} as user_rows
        inner join
            days
            on user_rows.organization_id = days.organization_id
            and user_rows.activity_date = days.activity_date
            and user_rows.pull_id = days.user_pull_id
        -- what names no user account is unattributed
        where user_rows.user_id is not null
        group by
            user_rows.organization_id,
            user_rows.activity_date,
            user_rows.user_id,
            {{ usage_dimensions("user_rows.") }}
    ),

    user_keys as (
        select
            organization_id,
            activity_date,
            {{ usage_dimensions() }},
            {{ sums_of(counters) }},
            {{ sum_if_all_known("requests") }} as requests
        from user_lines
        group by organization_id, activity_date, {{ usage_dimensions() }}
    ),

    report_rows as (
        select report_rows.*
        from {{ ref("stg_usage_report") }} as report_rows
        inner join
            days
            on report_rows.organization_id = days.organization_id
            and report_rows.activity_date = days.activity_date
            and report_rows.pull_id = days.total_pull_id
    ),

    {{
        unattributed_lines(
            usage_dimensions(),
            all_counters,
            sums_of(counters) ~ ", " ~ sum_if_all_known("requests") ~ " as requests",
            "coalesce(sum(" ~ all_counters | join("), 0) <> 0 or coalesce(sum(") ~ "), 0) <> 0",
        )
    }},

    lines as (
        select
            organization_id,
            activity_date,
            user_id,
            'user' as attribution,
            true as is_placed,
            {{ usage_dimensions() }},
            {{ all_counters | join(", ") }}
        from user_lines
        union all
        select
            organization_id,
            activity_date,
            cast(null as varchar) as user_id,
            'unattributed' as attribution,
            is_placed,
            {{ usage_dimensions() }},
            {{ all_counters | join(", ") }}
        from unattributed_lines
    )

select
    lines.organization_id,
    lines.activity_date,
    lines.user_id,
    lines.attribution,
    lines.is_placed,
    {{ usage_dimensions("lines.") }},
    {% for counter in counters -%} cast(lines.{{ counter }} as bigint) as {{ counter }}, {% endfor -%}
    cast(
        {% for counter in token_counters() -%}
            coalesce(lines.{{ counter }}, 0) {{ "+ " if not loop.last }}
        {%- endfor %} as bigint
    ) as total_tokens,
    cast(lines.requests as bigint) as requests,
    days.finality,
    case when lines.attribution = 'user' then days.user_pull_id else days.total_pull_id end as pull_id,
    {{ built_through_sequence() }} as built_through_sequence
from lines
inner join days on lines.organization_id = days.organization_id and lines.activity_date = days.activity_date
