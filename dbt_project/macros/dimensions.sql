{#- Comma-separated dimensions of the reports; null is a value of each. -#}
{% macro usage_dimensions(prefix="") -%}
    {%- for name in ["product", "model", "context_window", "inference_geo", "speed"] -%}
        {{ prefix }}{{ name }}{{ ", " if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{% macro cost_dimensions(prefix="") -%}
    {{ usage_dimensions(prefix) }}, {{ prefix }}cost_type, {{ prefix }}token_type
{%- endmacro %}

{#- The same number of nulls, for a line without any dimension. -#}
{% macro no_dimensions(names) -%}
    {%- for name in names.split(",") -%}
        cast(null as varchar) as {{ name | trim }}{{ ", " if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{#- Dimensions a price can depend on: a product does not change it. -#}
{% macro price_dimensions(prefix="") -%}
    {{ prefix }}model, {{ prefix }}context_window, {{ prefix }}inference_geo, {{ prefix }}speed
{%- endmacro %}
