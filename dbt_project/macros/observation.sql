{#- When an account was observed in a state, so that the greatest is the newest: by the ledger's sequence, then by the day observed. -#}
{% macro observation(pull_sequence, activity_date) -%}
    struct_pack(pull_sequence := {{ pull_sequence }}, activity_date := {{ activity_date }})
{%- endmacro %}
