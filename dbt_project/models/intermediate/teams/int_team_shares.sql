{#- A table, because everything of teams reads it: as many rows as people and what decides them, however many days. -#}
{{ config(materialized="table") }}
{%- set person = "organization_id, user_id" %}

with
    identifiers as (select * from {{ ref("int_team_identifiers") }}),

    team_map as (select * from {{ ref("stg_team_map") }}),

    patterns as (
        select
            *,
            length(replace(match, '*', '')) as literal_length,
            -- `*` alone means something in a pattern
            replace(
                replace(replace(replace(match, '!', '!!'), '%', '!%'), '_', '!_'), '*', '%'
            ) as like_pattern
        from team_map
        where is_pattern
    ),

    matches as (
        select
            identifiers.*,
            team_map.row_number,
            case when identifiers.is_address then 1 else 0 end as match_rank,
            0 as literal_length
        from identifiers
        inner join team_map on identifiers.identifier = team_map.match and not team_map.is_pattern
        union all
        select identifiers.*, patterns.row_number, 2 as match_rank, patterns.literal_length
        from identifiers
        inner join patterns on lower(identifiers.identifier) like patterns.like_pattern escape '!'
    ),

    candidates as (
        select
            matches.* exclude (valid_from, valid_to),
            team_map.match,
            team_map.share_units,
            team_map.team,
            team_map.cost_center,
            greatest(matches.valid_from, team_map.valid_from) as valid_from,
            least(matches.valid_to, team_map.valid_to) as valid_to
        from matches
        inner join team_map on matches.row_number = team_map.row_number
        where greatest(matches.valid_from, team_map.valid_from) <= least(matches.valid_to, team_map.valid_to)
    ),

    -- what decides changes only on these days
    changes as (
        select {{ person }}, valid_from as change_date
        from candidates
        union
        select {{ person }}, valid_to + 1
        from candidates
        union
        select {{ person }}, known_from
        from candidates
    ),

    spans as (
        select
            {{ person }},
            change_date as span_start,
            lead(change_date, 1, date '9999-12-31') over (
                partition by {{ person }} order by change_date
            ) as span_end
        from changes
    ),

    -- exact before pattern, the id before an address, the longer literal before the shorter; of several
    -- addresses the newest
    -- that was known by then
    ranked as (
        select
            candidates.*,
            spans.span_start,
            spans.span_end,
            rank() over (
                partition by candidates.organization_id, candidates.user_id, spans.span_start
                order by
                    candidates.match_rank,
                    candidates.literal_length desc,
                    candidates.known_from > spans.span_start,
                    abs(candidates.known_from - spans.span_start),
                    candidates.match,
                    candidates.identifier
            ) as place
        from spans
        inner join
            candidates
            on spans.organization_id = candidates.organization_id
            and spans.user_id = candidates.user_id
            and spans.span_start between candidates.valid_from and candidates.valid_to
    )

select
    {{ person }},
    span_start as valid_from,
    case when span_end = date '9999-12-31' then span_end else span_end - 1 end as valid_to,
    match,
    team,
    cost_center,
    share_units,
    row_number() over (partition by {{ person }}, span_start order by row_number) as share_number,
    list(share_units) over (
        partition by {{ person }}, span_start
        order by row_number
        rows between unbounded preceding and unbounded following
    ) as split_units
from ranked
where place = 1
