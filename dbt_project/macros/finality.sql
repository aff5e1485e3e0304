{#- Worst of the aggregated values: incomplete before provisional before final. -#}
{% macro worst_finality(column="finality") -%}
    case
        when count(case when {{ column }} = 'incomplete' then 1 end) > 0
        then 'incomplete'
        when count(case when {{ column }} = 'provisional' then 1 end) > 0
        then 'provisional'
        else 'final'
    end
{%- endmacro %}
