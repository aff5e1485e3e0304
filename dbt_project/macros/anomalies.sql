{#- Dollars as people say them; a figure for a sentence, never for a sum. -#}
{% macro usd_text(amount) -%}
    case
        when {{ amount }} >= 10
        then format('${:,}', cast({{ amount }} as bigint))
        else '$' || cast({{ amount }} as decimal(36, 2))
    end
{%- endmacro %}

{#- A figure of a metric as people say it. -#}
{% macro metric_text(metric, amount) -%}
    case
        when {{ metric }} = 'amount_usd'
        then {{ usd_text(amount) }}
        else cast(cast({{ amount }} as decimal(36, 2)) * 0.000001 as decimal(36, 1)) || ' million tokens'
    end
{%- endmacro %}

{#- The table as it was before this build: what was raised once stays in it. None on a first build or a full refresh. -#}
{% macro raised_before() -%}
    {%- if execute and not flags.FULL_REFRESH -%} {{- return(load_relation(this)) -}} {%- endif -%}
{%- endmacro %}
