{%- set key = "organization_id, scope, scope_value, metric, activity_date, kind" %}

with
    -- what tokens cost the organisation in the four weeks before
    spend_before as (
        select
            organization_id,
            activity_date,
            sum(amount_usd) over before as amount_usd,
            sum(total_tokens) over before as total_tokens
        from {{ ref("int_daily_spend_series") }}
        where scope = 'organization' and is_complete
        window
            before as (
                partition by organization_id
                order by activity_date range between interval 28 days preceding and interval 1 day preceding
            )
    ),

    token_prices as (
        select
            organization_id,
            activity_date,
            {{ divide_rounded("amount_usd", "total_tokens") }} as usd_per_token
        from spend_before
    ),

    -- the one step from statistics to amounts
    rounded as (
        select
            * replace (
                {{ statistic_usd("expected") }} as expected,
                {{ statistic_usd("low") }} as low,
                {{ statistic_usd("high") }} as high
            )
        from {{ ref("int_anomaly_days") }}
    ),

    people as (
        select organization_id, user_id, coalesce(email, name, user_id) as person
        from {{ ref("dim_claude_users") }}
    ),

    drivers as (
        select drivers.*, people.person
        from {{ ref("int_anomaly_drivers") }} as drivers
        left join
            people
            on drivers.organization_id = people.organization_id
            and drivers.driving_user_id = people.user_id
    ),

    named as (
        select
            days.*,
            actual - expected as excess,
            case
                when scope in ('user', 'user_product') then coalesce(person, user_id) else organizations.name
            end as who,
            case
                when scope = 'user_product'
                then product_of_user
                when scope in ('product', 'model')
                then scope_value
            end as on_what
        from rounded as days
        left join {{ ref("dim_claude_organizations") }} as organizations using (organization_id)
        left join people using (organization_id, user_id)
    )

select
    organization_id,
    activity_date,
    scope,
    scope_value,
    metric,
    case
        when kind = 'spike' and drivers.speed = 'fast' and drivers.excess >= 0.5 * named.excess
        then 'fast_mode'
        else kind
    end as kind,
    window_days,
    actual,
    expected,
    low,
    high,
    score,
    case
        metric when 'amount_usd' then named.excess else {{ statistic_usd("named.excess * usd_per_token") }}
    end as impact_usd,
    coalesce(who, organization_id) || case
        when kind = 'chronic'
        then ' is far above the level of six weeks ago: '
        when metric = 'amount_usd'
        then ' spent '
        else ' used '
    end
    || {{ metric_text("metric", "actual") }}
    || coalesce(' on ' || on_what, '')
    || case window_days when 1 then ' on ' else ' in the ' || window_days || ' days to ' end
    || strftime(activity_date, '%-d %b')
    || ', usually '
    || {{ metric_text("metric", "low") }}
    || ' to '
    || {{ metric_text("metric", "high") }}
    -- the part of the excess that says most
    || case
        when drivers.excess >= 0.3 * named.excess
        then
            '; '
            || {{ metric_text("metric", "least(drivers.excess, named.excess)") }}
            || ' of it is '
            || coalesce(
                drivers.person,
                case drivers.speed when 'fast' then 'fast mode on ' else '' end || drivers.model,
                'use without a model'
            )
            || case scope when 'user' then coalesce(' in ' || drivers.product, '') else '' end
        else ''
    end as reason
from named
left join drivers using ({{ key }})
left join token_prices using (organization_id, activity_date)
