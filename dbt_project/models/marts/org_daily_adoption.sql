with
    summaries as (select * from {{ ref("stg_summaries") }}),

    pulls as (select * from {{ ref("stg_current_pulls") }} where endpoint = 'summaries')

select
    summaries.organization_id,
    summaries.activity_date,
    summaries.assigned_seat_count,
    summaries.pending_invite_count,
    summaries.daily_active_user_count,
    summaries.weekly_active_user_count,
    summaries.monthly_active_user_count,
    summaries.daily_adoption_rate,
    summaries.weekly_adoption_rate,
    summaries.monthly_adoption_rate,
    summaries.chat_daily_active_user_count,
    summaries.chat_weekly_active_user_count,
    summaries.chat_monthly_active_user_count,
    summaries.claude_code_daily_active_user_count,
    summaries.claude_code_weekly_active_user_count,
    summaries.claude_code_monthly_active_user_count,
    summaries.claude_design_daily_active_user_count,
    summaries.claude_design_weekly_active_user_count,
    summaries.claude_design_monthly_active_user_count,
    summaries.claude_tag_daily_active_user_count,
    summaries.claude_tag_weekly_active_user_count,
    summaries.claude_tag_monthly_active_user_count,
    summaries.cowork_daily_active_user_count,
    summaries.cowork_weekly_active_user_count,
    summaries.cowork_monthly_active_user_count,
    summaries.office_agent_daily_active_user_count,
    summaries.office_agent_weekly_active_user_count,
    summaries.office_agent_monthly_active_user_count,
    summaries.science_daily_active_user_count,
    summaries.science_weekly_active_user_count,
    summaries.science_monthly_active_user_count,
    summaries.chat_cowork_unified_daily_active_user_count,
    summaries.chat_cowork_unified_weekly_active_user_count,
    summaries.chat_cowork_unified_monthly_active_user_count,
    summaries.science_entitled_user_count,
    -- of the seats that are assigned; null where there are none
    cast(summaries.daily_active_user_count as double) / nullif(summaries.assigned_seat_count, 0) as daily_seat_utilisation,
    cast(summaries.weekly_active_user_count as double) / nullif(summaries.assigned_seat_count, 0) as weekly_seat_utilisation,
    cast(summaries.monthly_active_user_count as double)
    / nullif(summaries.assigned_seat_count, 0) as monthly_seat_utilisation,
    pulls.finality,
    summaries.pull_id
from summaries
inner join pulls
    on summaries.organization_id = pulls.organization_id
    and summaries.activity_date = pulls.activity_date
    and summaries.pull_id = pulls.pull_id
