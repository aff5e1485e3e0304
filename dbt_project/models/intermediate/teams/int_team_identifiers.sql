with
    states as (select * from {{ ref("int_account_states") }}),

    addresses as (
        select
            organization_id,
            user_id,
            lower(email) as identifier,
            min(first_activity_date) as known_from,
            max(pull_sequence) as pull_sequence
        from states
        where email is not null
        group by organization_id, user_id, lower(email)
    ),

    -- an address stands for its first holder from the beginning, and for each later one from the day they
    -- have
    -- it
    held as (
        select
            *,
            lag(user_id) over holders is null as is_first_holder,
            lead(known_from) over holders as next_known_from
        from addresses
        window
            holders as (partition by organization_id, identifier order by known_from, pull_sequence, user_id)
    )

select
    organization_id,
    user_id,
    identifier,
    true as is_address,
    known_from,
    case when is_first_holder then date '0001-01-01' else known_from end as valid_from,
    coalesce(next_known_from - 1, date '9999-12-31') as valid_to
from held
union all
select distinct
    organization_id,
    user_id,
    user_id as identifier,
    false as is_address,
    date '0001-01-01' as known_from,
    date '0001-01-01' as valid_from,
    date '9999-12-31' as valid_to
from states
