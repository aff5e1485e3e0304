{#- Every date from the first to the last, both inclusive: a row for each. -#}
{% macro each_date(first_date, last_date) -%}
    cast(unnest(generate_series({{ first_date }}, {{ last_date }}, interval 1 day)) as date)
{%- endmacro %}
