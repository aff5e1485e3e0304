with
    team_rows as (
        select
            team,
            string_agg(distinct cost_center, ', ' order by cost_center) as cost_center,
            nullif(min(valid_from), date '0001-01-01') as valid_from,
            nullif(max(valid_to), date '9999-12-31') as valid_to
        from {{ ref("stg_team_map") }}
        group by team
        union all
        select {{ unmapped_team() }}, null, null, null
        union all
        select {{ unattributed_team() }}, null, null, null
    ),

    members as (
        select organization_id, team, count(distinct user_id) as member_count
        from {{ ref("int_team_shares") }}
        group by organization_id, team
    ),

    organizations as (select organization_id from {{ ref("dim_claude_organizations") }})

select
    organizations.organization_id,
    team_rows.team,
    case
        team_rows.team
        when {{ unmapped_team() }}
        then 'unmapped'
        when {{ unattributed_team() }}
        then 'unattributed'
        else 'team'
    end as kind,
    team_rows.cost_center,
    team_rows.valid_from,
    team_rows.valid_to,
    coalesce(members.member_count, 0) as member_count
from organizations
cross join team_rows
left join members on organizations.organization_id = members.organization_id and team_rows.team = members.team
