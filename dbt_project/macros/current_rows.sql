{#- Rows of `relation` that belong to the newest complete pull of their organisation and day. -#}
{% macro rows_of_current_pulls(relation, endpoint) -%}
    select pull_rows.*
    from {{ relation }} as pull_rows
    inner join
        {{ ref("stg_current_pulls") }} as current_pulls
        on pull_rows.pull_id = current_pulls.pull_id
        and pull_rows.organization_id = current_pulls.organization_id
        and pull_rows.activity_date = current_pulls.activity_date
    where current_pulls.endpoint = '{{ endpoint }}'
{%- endmacro %}
