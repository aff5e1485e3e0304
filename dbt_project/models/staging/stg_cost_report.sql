with rows_of_current_pulls as ({{ rows_of_current_pulls(ref("base_cost_report"), "cost_report") }})

select *
from rows_of_current_pulls
