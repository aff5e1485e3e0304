{%- set periods = ["daily", "weekly", "monthly"] %}

with
    summaries as (select * from {{ ref("stg_summaries") }}),

    pulls as ({{ engagement_pulls("summaries") }}),

    listed as (select * from {{ ref("int_rolling_active_users") }}),

    -- a day that only one of the two answers for has its row too
    days as (
        select organization_id, activity_date
        from pulls
        union
        select organization_id, activity_date
        from listed
    ),

    adoption as (
        select
            days.organization_id,
            days.activity_date,
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
            listed.listed_daily_user_count,
            listed.listed_weekly_user_count,
            listed.listed_monthly_user_count,
            listed.power_user_count,
            coalesce(pulls.finality, 'incomplete') as finality,
            pulls.pull_id
        from days
        left join
            pulls on days.organization_id = pulls.organization_id and days.activity_date = pulls.activity_date
        left join
            summaries
            on pulls.organization_id = summaries.organization_id
            and pulls.activity_date = summaries.activity_date
            and pulls.pull_id = summaries.pull_id
        left join
            listed
            on days.organization_id = listed.organization_id
            and days.activity_date = listed.activity_date
    )

select
    organization_id,
    activity_date,
    assigned_seat_count,
    pending_invite_count,
    daily_active_user_count,
    weekly_active_user_count,
    monthly_active_user_count,
    daily_adoption_rate,
    weekly_adoption_rate,
    monthly_adoption_rate,
    chat_daily_active_user_count,
    chat_weekly_active_user_count,
    chat_monthly_active_user_count,
    claude_code_daily_active_user_count,
    claude_code_weekly_active_user_count,
    claude_code_monthly_active_user_count,
    claude_design_daily_active_user_count,
    claude_design_weekly_active_user_count,
    claude_design_monthly_active_user_count,
    claude_tag_daily_active_user_count,
    claude_tag_weekly_active_user_count,
    claude_tag_monthly_active_user_count,
    cowork_daily_active_user_count,
    cowork_weekly_active_user_count,
    cowork_monthly_active_user_count,
    office_agent_daily_active_user_count,
    office_agent_weekly_active_user_count,
    office_agent_monthly_active_user_count,
    science_daily_active_user_count,
    science_weekly_active_user_count,
    science_monthly_active_user_count,
    chat_cowork_unified_daily_active_user_count,
    chat_cowork_unified_weekly_active_user_count,
    chat_cowork_unified_monthly_active_user_count,
    science_entitled_user_count,
    -- of the seats that are assigned; null where there are none
    {% for period in periods %}
        cast({{ period }}_active_user_count as double)
        / nullif(assigned_seat_count, 0) as {{ period }}_seat_utilisation,
    {% endfor %}
    -- the API's rates against its own counts, within what a rate of one decimal is rounded by
    {% for period in periods %}
        abs(
            {{ period }}_adoption_rate
            - 100 * cast({{ period }}_active_user_count as double) / nullif(assigned_seat_count, 0)
        )
        <= 0.0500001 as is_{{ period }}_adoption_rate_confirmed,
    {% endfor %}
    listed_daily_user_count,
    listed_weekly_user_count,
    listed_monthly_user_count,
    {% for period in periods %}
        listed_{{ period }}_user_count - {{ period }}_active_user_count as {{ period }}_user_count_difference,
    {% endfor %}
    cast(daily_active_user_count as double) / nullif(monthly_active_user_count, 0) as stickiness_rate,
    cast(weekly_active_user_count as double) / nullif(monthly_active_user_count, 0) as weekly_stickiness_rate,
    assigned_seat_count + pending_invite_count as funnel_invited_count,
    assigned_seat_count as funnel_seated_count,
    monthly_active_user_count as funnel_monthly_active_user_count,
    weekly_active_user_count as funnel_weekly_active_user_count,
    power_user_count as funnel_power_user_count,
    finality,
    pull_id
from adoption
