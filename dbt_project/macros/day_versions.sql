{#-
    Every version of a day: which two pulls were its newest complete ones, from when until when (`valid_to`, null for the
    current version). A version begins with the fetch of either answer.
-#}
{% macro day_versions(user_endpoint, total_endpoint) %}
    with
        pull_days as (
            select *
            from {{ ref("stg_pull_days") }}
            where
                endpoint in ('{{ user_endpoint }}', '{{ total_endpoint }}')
                -- a pull that a later one dates before was never what was known
                and (superseded_at is null or fetched_at < superseded_at)
        ),

        versions as (
            select
                organization_id,
                activity_date,
                fetched_at as valid_from,
                lead(fetched_at) over fetches as valid_to,
                {% for column in ["pull_id", "finality"] %}
                    {% for answer, endpoint in [("user", user_endpoint), ("total", total_endpoint)] %}
                        last_value(
                            case when endpoint = '{{ endpoint }}' then {{ column }} end ignore nulls
                        ) over (fetches rows between unbounded preceding and current row)
                        as {{ answer }}_{{ column }},
                    {% endfor %}
                {% endfor %}
            from pull_days
            window fetches as (partition by organization_id, activity_date order by fetched_at, pull_sequence)
        )

    select
        organization_id,
        activity_date,
        valid_from,
        valid_to,
        user_pull_id,
        total_pull_id,
        case
            -- a day with one of its two answers cannot be split honestly yet
            when
                user_pull_id is null
                or total_pull_id is null
                or 'incomplete' in (user_finality, total_finality)
            then 'incomplete'
            when 'provisional' in (user_finality, total_finality)
            then 'provisional'
            else 'final'
        end as finality
    from versions
    -- both answers of one moment begin one version
    where valid_from is distinct from valid_to
{% endmacro %}
