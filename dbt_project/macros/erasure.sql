{#- What stands in the reports in place of an id that `forget` erased; `privacy/forgotten.py` writes it. -#}
{% macro erased_user() -%} erased {%- endmacro %}

{% macro user_unless_erased(column="user_id") -%} nullif({{ column }}, '{{ erased_user() }}') {%- endmacro %}

{% macro attribution_of_user(column="user_id") -%}
    case when {{ column }} = '{{ erased_user() }}' then 'erased' else 'user' end
{%- endmacro %}
