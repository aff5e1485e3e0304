with
    pulls as (select * from {{ ref("stg_pulls") }}),

    ledger as (
        select *
        from pulls
        where endpoint in ('{{ (engagement_endpoints() + optional_engagement_endpoints()) | join("', '") }}')
    ),

    -- as of the newest pull of the organisation: a day is aggregated at 10:00 UTC of the next
    organizations as (
        select
            organization_id,
            min(window_start) as first_date,
            cast(max_by(fetched_at, pull_sequence) - interval 10 hour as date) - 1 as newest_possible_date
        from pulls
        group by organization_id
    ),

    expected_endpoints as (
        {% for endpoint in engagement_endpoints() %}
            select organization_id, '{{ endpoint }}' as endpoint
            from organizations
            union
        {% endfor %}
        select organization_id, endpoint
        from ledger
    ),

    last_dates as (
        select
            organizations.organization_id,
            organizations.first_date,
            organizations.newest_possible_date,
            greatest(
                organizations.newest_possible_date, coalesce(max(ledger.window_end) - 1, date '1970-01-01')
            ) as last_date
        from organizations
        left join ledger on organizations.organization_id = ledger.organization_id
        group by organizations.organization_id, organizations.first_date, organizations.newest_possible_date
    ),

    dates as (
        select
            organization_id, newest_possible_date, {{ each_date("first_date", "last_date") }} as activity_date
        from last_dates
    )

select dates.organization_id, expected_endpoints.endpoint, dates.activity_date, dates.newest_possible_date
from dates
inner join expected_endpoints on dates.organization_id = expected_endpoints.organization_id
