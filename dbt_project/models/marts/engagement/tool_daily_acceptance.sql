{{
    config(
        materialized="incremental",
        incremental_strategy="replace_days",
        meta={"endpoints": ["users"]},
    )
}}

with
    engagement as (select * from {{ ref("user_daily_engagement") }} where {{ is_touched() }}),

    tool_days as (
        {% for tool in edit_tools() %}
            select
                organization_id,
                activity_date,
                '{{ tool }}' as tool,
                claude_code_{{ tool }}_accepted_count as accepted_count,
                claude_code_{{ tool }}_rejected_count as rejected_count,
                finality
            from engagement {{ "union all" if not loop.last }}
        {% endfor %}
    ),

    -- a user whose counts are not reported is in neither of them
    reported_days as (
        select *, accepted_count is not null and rejected_count is not null as is_reported from tool_days
    ),

    totals as (
        select
            organization_id,
            activity_date,
            tool,
            count(
                case when is_reported and accepted_count + rejected_count > 0 then 1 end
            ) as proposed_user_count,
            count(case when not is_reported then 1 end) as untold_user_count,
            cast(sum(case when is_reported then accepted_count end) as bigint) as accepted_count,
            cast(sum(case when is_reported then rejected_count end) as bigint) as rejected_count,
            {{ worst_finality() }} as finality
        from reported_days
        group by organization_id, activity_date, tool
    )

select
    organization_id,
    activity_date,
    tool,
    accepted_count,
    rejected_count,
    accepted_count + rejected_count as proposed_count,
    cast(accepted_count as double) / nullif(accepted_count + rejected_count, 0) as acceptance_rate,
    proposed_user_count,
    untold_user_count,
    finality,
    {{ built_through_sequence(["user_daily_engagement"]) }} as built_through_sequence
from totals
