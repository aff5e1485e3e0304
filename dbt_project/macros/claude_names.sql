{#- Older spellings of one name are read as the newest; every other value, known or not, flows through untouched. -#}
{% macro product_name(column) -%}
    case {{ column }} when 'claude_tag' then 'claude-tag' else {{ column }} end
{%- endmacro %}

{#- No Claude model has an underscore in its name, so `claude_opus_4_6` can only be `claude-opus-4-6`. -#}
{% macro model_name(column) -%}
    case when left({{ column }}, 7) = 'claude_' then replace({{ column }}, '_', '-') else {{ column }} end
{%- endmacro %}
