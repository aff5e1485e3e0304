with source as (select * from {{ source("claude_raw", "team_map") }})

select
    row_number,
    match,
    is_pattern,
    team,
    cost_center,
    valid_from,
    valid_to,
    -- ten thousandths of a percent: shares are whole numbers
    cast(percent * 10000 as integer) as share_units
from source
