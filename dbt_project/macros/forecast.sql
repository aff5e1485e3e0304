{#- Scopes that have a forecast. -#}
{% macro forecast_scopes() -%} ('organization', 'user', 'product', 'model') {%- endmacro %}

{#- Columns that name one forecast. -#}
{% macro forecast_key(prefix="") -%}
    {{ prefix }}organization_id, {{ prefix }}scope, {{ prefix }}scope_value, {{ prefix }}forecast_date
{%- endmacro %}

{#- Days before the day of a forecast that are looked at with it: whole weeks, the newest ends with that day. -#}
{% macro forecast_window() -%} {{ var("forecast").weeks * 7 - 1 }} {%- endmacro %}

{#- What the weeks of a series usually scatter, as a part of its level. -#}
{% macro forecast_noise() -%}
    case
        scope
        {% for scope, noise in var("forecast").usual_noise.items() %}
            when '{{ scope }}' then {{ noise }}
        {% endfor %}
    end
{%- endmacro %}

{#- Null beyond what an amount can hold: growth that cannot go on has no forecast. -#}
{% macro forecast_usd(expression) -%} {{ statistic_usd(expression, cast="try_cast") }} {%- endmacro %}
