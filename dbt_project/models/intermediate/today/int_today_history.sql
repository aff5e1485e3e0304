select
    looks.organization_id,
    spend.scope_value as user_id,
    spend.activity_date,
    looks.activity_date - spend.activity_date as days_ago,
    spend.log_amount as logarithm
from {{ ref("int_today_looks") }} as looks
inner join {{ ref("int_active_spend") }} as spend on looks.organization_id = spend.organization_id
where
    spend.scope = 'user'
    and spend.metric = 'amount_usd'
    and spend.activity_date between looks.activity_date - 56 and looks.activity_date - 1
