{#-
    What fct_claude_costs said at a moment: for every day the newest pull that was complete by then. A table macro of the
    warehouse, so that a reader of the serving copy can ask too:
        select * from marts.fct_claude_costs_as_of(timestamp '2026-03-05 00:00:00')
    Made anew with each build of the fact. The moment is the start of a fetch (UTC), as in cost_revisions.
-#}
{% macro create_fct_claude_costs_as_of(base_user_cost_report, base_cost_report, pull_days) %}
    create or replace macro {{ this.schema }}.fct_claude_costs_as_of(as_of) as table (
        with
            pull_days as (
                select *
                from {{ pull_days }}
                where
                    endpoint in ('user_cost_report', 'cost_report')
                    and fetched_at <= as_of
                    and (superseded_at is null or superseded_at > as_of)
            ),

            all_days as (
                select
                    organization_id,
                    activity_date,
                    max(case when endpoint = 'user_cost_report' then pull_id end) as user_pull_id,
                    max(case when endpoint = 'cost_report' then pull_id end) as total_pull_id,
                    case when count(*) < 2 then 'incomplete' else {{ worst_finality() }} end as finality
                from pull_days
                group by organization_id, activity_date
            ),

            days as (select * from all_days where total_pull_id is not null),

    {{ cost_lines("days", base_user_cost_report, base_cost_report) }}

        select
            organization_id,
            activity_date,
            user_id,
            attribution,
            is_placed,
    {{ cost_dimensions() }},
            amount_cents,
            list_amount_cents,
            amount_usd,
            list_amount_usd,
            currency,
            finality,
            pull_id
        from cost_lines
    )
{% endmacro %}
