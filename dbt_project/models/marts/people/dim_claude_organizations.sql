with
    organizations as (select * from {{ ref("stg_organizations") }}),

    api_ids as (
        select
            organization_id,
            api_organization_id,
            row_number() over (partition by organization_id order by pull_sequence desc) as newest_rank
        from {{ ref("stg_pull_days") }}
        where api_organization_id is not null
    ),

    days as (
        select *, min(activity_date) over (partition by organization_id) as first_date
        from {{ ref("int_spend_days") }}
    ),

    numbered as (
        select
            *,
            row_number() over (
                partition by organization_id, finality = 'incomplete' order by activity_date
            ) as complete_ordinal,
            row_number() over (
                partition by organization_id, finality = 'final' order by activity_date
            ) as final_ordinal
        from days
    ),

    known_periods as (
        select
            organization_id,
            min(first_date) as first_known_date,
            max(
                case
                    when finality <> 'incomplete' and complete_ordinal = activity_date - first_date + 1
                    then activity_date
                end
            ) as complete_through,
            max(
                case
                    when finality = 'final' and final_ordinal = activity_date - first_date + 1
                    then activity_date
                end
            ) as final_through
        from numbered
        group by organization_id
    )

select
    organizations.organization_id,
    organizations.name,
    organizations.plan,
    api_ids.api_organization_id,
    organizations.revision_days,
    known_periods.first_known_date,
    known_periods.complete_through,
    known_periods.final_through
from organizations
left join api_ids on organizations.organization_id = api_ids.organization_id and api_ids.newest_rank = 1
left join known_periods on organizations.organization_id = known_periods.organization_id
