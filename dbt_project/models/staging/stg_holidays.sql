with source as (select * from {{ source("claude_raw", "holidays") }}) select holiday from source
