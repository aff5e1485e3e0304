{{
    config(
        materialized="incremental",
        incremental_strategy="replace_days",
        meta={"endpoints": ["cost_report"]},
    )
}}

with
    pull_days as (
        select * from {{ ref("stg_pull_days") }} where endpoint = 'cost_report' and {{ is_touched() }}
    ),

    reported_totals as (
        select
            pull_id,
            activity_date,
            sum(amount_cents) as total_cents,
            sum(list_amount_cents) as list_total_cents
        from {{ ref("int_cost_answers") }}
        where grain = 'day' and {{ is_touched() }}
        group by pull_id, activity_date
    ),

    revisions as (
        select
            pull_days.*,
            -- an answer without rows means that the day cost nothing
            coalesce(reported_totals.total_cents, 0) as total_cents,
            coalesce(reported_totals.list_total_cents, 0) as list_total_cents
        from pull_days
        left join
            reported_totals
            on pull_days.pull_id = reported_totals.pull_id
            and pull_days.activity_date = reported_totals.activity_date
    ),

    numbered as (
        select
            *,
            row_number() over (
                partition by organization_id, activity_date order by pull_sequence
            ) as revision_number,
            lag(total_cents) over (
                partition by organization_id, activity_date order by pull_sequence
            ) as previous_total_cents,
            lag(list_total_cents) over (
                partition by organization_id, activity_date order by pull_sequence
            ) as previous_list_total_cents
        from revisions
    )

select
    organization_id,
    activity_date,
    pull_id,
    revision_number,
    fetched_at,
    superseded_at,
    data_refreshed_at,
    superseded_at is null as is_current,
    finality,
    total_cents,
    list_total_cents,
    total_cents - previous_total_cents as change_cents,
    list_total_cents - previous_list_total_cents as list_change_cents,
    {{ cents_to_usd("total_cents") }} as total_usd,
    {{ cents_to_usd("total_cents - previous_total_cents") }} as change_usd,
    {{ built_through_sequence() }} as built_through_sequence
from numbered
