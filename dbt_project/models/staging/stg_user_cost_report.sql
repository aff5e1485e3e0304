with rows_of_current_pulls as ({{ rows_of_current_pulls(ref("base_user_cost_report"), "user_cost_report") }})

select *
from rows_of_current_pulls
