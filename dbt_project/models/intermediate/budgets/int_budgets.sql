with
    organizations as (select * from {{ ref("stg_organizations") }}),

    budgets as (
        select
            budgets.* replace (
                coalesce(
                    map_extract_value(budgets.addresses, organizations.organization_id), budgets.scope_value
                ) as scope_value,
                organizations.organization_id as organization_id
            )
        from {{ ref("stg_budgets") }} as budgets
        inner join organizations on budgets.organization_id in ('*', organizations.organization_id)
    ),

    states as (select * from {{ ref("int_account_states") }}),

    users as (select distinct organization_id, user_id from states),

    -- an address that went to another account is the newer account's
    addresses as (
        select
            organization_id,
            lower(email) as address,
            user_id,
            row_number() over (
                partition by organization_id, lower(email)
                order by pull_sequence desc, newest_activity_date desc, user_id
            ) as newest_rank
        from states
        where email is not null
    )

select
    budgets.organization_id,
    budgets.budget_id,
    budgets.scope,
    case
        when budgets.scope = 'organization'
        then budgets.organization_id
        when budgets.scope = 'user'
        then coalesce(users.user_id, addresses.user_id, budgets.scope_value)
        else budgets.scope_value
    end as scope_value,
    budgets.period,
    budgets.limit_usd,
    cast(budgets.limit_usd * 100 as decimal(38, 12)) as limit_cents,
    budgets.warn_percents,
    budgets.has_forecast
from budgets
left join
    users
    on budgets.scope = 'user'
    and budgets.organization_id = users.organization_id
    and budgets.scope_value = users.user_id
left join
    addresses
    on budgets.scope = 'user'
    and budgets.organization_id = addresses.organization_id
    and lower(budgets.scope_value) = addresses.address
    and addresses.newest_rank = 1
