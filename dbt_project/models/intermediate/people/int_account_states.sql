{#- Rewritten whole from itself and what is new: as many rows as accounts have states, however long the history is. -#}
{{ config(materialized="table") }}
{%- set state = "organization_id, user_id, email, name, is_deleted, is_account_state_reported" %}
{%- set is_continued = (
    execute and not flags.FULL_REFRESH and has_column(load_relation(this), "newest_activity_date")
) %}

with
    new_pulls as (
        select pull_id, organization_id, pull_sequence, window_start, window_end
        from {{ ref("stg_pulls") }}
        where
            status = 'complete' and endpoint in ('user_cost_report', 'user_usage_report', 'users')
            {% if is_continued %}
                and pull_sequence > (select coalesce(max(pull_sequence), 0) from {{ this }})
            {% endif %}
    ),

    -- the states one pull reports of an account, on however many days
    reported_states as (
        select
            pull_id,
            user_id,
            email,
            name,
            is_deleted,
            is_account_state_reported,
            min(activity_date) as first_activity_date,
            max(activity_date) as last_activity_date
        from {{ ref("stg_account_states") }}
        {% if is_continued %}
            where
                activity_date >= (select min(window_start) from new_pulls)
                and activity_date < (select max(window_end) from new_pulls)
                and pull_id in (select pull_id from new_pulls)
        {% endif %}
        group by pull_id, user_id, email, name, is_deleted, is_account_state_reported
    ),

    observations as (
        select
            new_pulls.organization_id,
            reported_states.user_id,
            reported_states.email,
            reported_states.name,
            reported_states.is_deleted,
            reported_states.is_account_state_reported,
            reported_states.first_activity_date,
            reported_states.last_activity_date,
            {{ observation("new_pulls.pull_sequence", "reported_states.last_activity_date") }} as newest
        from reported_states
        inner join new_pulls on reported_states.pull_id = new_pulls.pull_id
        {% if is_continued %}
            union all
            select
                {{ state }},
                first_activity_date,
                last_activity_date,
                {{ observation("pull_sequence", "newest_activity_date") }} as newest
            from {{ this }}
        {% endif %}
    ),

    states as (
        select
            {{ state }},
            min(first_activity_date) as first_activity_date,
            max(last_activity_date) as last_activity_date,
            max(newest) as newest
        from observations
        group by {{ state }}
    )

select
    {{ state }},
    first_activity_date,
    last_activity_date,
    newest.pull_sequence as pull_sequence,
    newest.activity_date as newest_activity_date
from states
