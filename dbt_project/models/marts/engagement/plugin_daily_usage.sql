with
    plugins as (select * from {{ ref("stg_plugins") }}),

    pulls as ({{ engagement_pulls("plugins") }}),

    dated as (
        select
            plugins.*,
            pulls.finality,
            first_value(plugin_id) over (
                partition by plugins.organization_id, plugins.plugin_name
                order by plugin_id is null, pulls.pull_sequence desc, plugins.activity_date desc
            ) as latest_plugin_id
        from plugins
        inner join
            pulls
            on plugins.organization_id = pulls.organization_id
            and plugins.activity_date = pulls.activity_date
            and plugins.pull_id = pulls.pull_id
    )

select
    organization_id,
    activity_date,
    plugin_name,
    plugin_id,
    latest_plugin_id,
    distinct_user_count,
    install_count,
    invocation_count,
    claude_code_distinct_session_count,
    cowork_distinct_session_count,
    chat_cowork_unified_distinct_session_count,
    finality,
    pull_id
from dated
