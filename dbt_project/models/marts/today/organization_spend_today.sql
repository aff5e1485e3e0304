{#- Same weekdays before a band is drawn, how many weeks back they are looked for, and how wide the band is. -#}
{%- set least_days = 3 -%}
{%- set weeks = 8 -%}
{%- set spreads = 3 -%}
{%- set least_width = 0.5 %}

with
    looks as (select * from {{ ref("int_today_looks") }}),

    hours as (select *, cast(hour as date) as activity_date from {{ ref("int_hourly_totals") }}),

    so_far as (
        select organization_id, sum(amount_cents) as amount_cents, sum(list_amount_cents) as list_amount_cents
        from hours
        inner join looks using (organization_id, activity_date)
        group by organization_id
    ),

    -- the same weekday up to the same minute; of the hour that runs, the part that has passed
    compared_days as (
        select
            looks.organization_id,
            hours.activity_date,
            cast(
                sum(
                    hours.amount_cents
                    * least(greatest(looks.minutes_seen - 60 * extract('hour' from hours.hour), 0), 60)
                ) as double
            )
            / 6000 as spend
        from looks
        inner join hours using (organization_id)
        where
            hours.activity_date between looks.activity_date - {{ 7 * weeks }} and looks.activity_date - 7
            and (looks.activity_date - hours.activity_date) % 7 = 0
        group by looks.organization_id, hours.activity_date
        -- a day counts once every hour of it was seen to its end
        having count(*) = 24 and min(hours.seen_through) >= max(hours.hour) + interval 1 hour
    ),

    levels as (
        select
            organization_id,
            count(*) as compared_day_count,
            median(spend) as middle,
            {{ spreads }} * 1.4826 * mad(spend) as spread
        from compared_days
        group by organization_id
        having count(*) >= {{ least_days }}
    ),

    bands as (
        select
            looks.*,
            levels.compared_day_count,
            levels.middle,
            greatest(
                levels.spread, {{ least_width }} * levels.middle, cast(floors.floor_amount as double)
            ) as width,
            so_far.amount_cents,
            so_far.list_amount_cents
        from looks
        inner join so_far using (organization_id)
        left join levels using (organization_id)
        cross join {{ ref("int_anomaly_floors") }} as floors
        where floors.metric = 'amount_usd'
    )

select
    organization_id,
    activity_date,
    cast(amount_cents as decimal(38, 12)) as amount_cents,
    cast(list_amount_cents as decimal(38, 12)) as list_amount_cents,
    {{ cents_to_usd("amount_cents") }} as amount_usd,
    {{ cents_to_usd("list_amount_cents") }} as list_amount_usd,
    {{ statistic_usd("case when middle is not null then greatest(middle - width, 0) end") }} as band_low_usd,
    {{ statistic_usd("middle + width") }} as band_high_usd,
    case
        when middle is null
        then 'no_history'
        when {{ cents_to_usd("amount_cents") }} > band_high_usd
        then 'above'
        when {{ cents_to_usd("amount_cents") }} < band_low_usd
        then 'below'
        else 'within'
    end as band_status,
    coalesce(compared_day_count, 0) as compared_day_count,
    data_refreshed_at,
    looked_at,
    look_id,
    finality
from bands
