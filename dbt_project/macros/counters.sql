{#- Token counters of a usage row, in the order of the facts' columns. -#}
{% macro token_counters() -%}
    {{-
        return(
            [
                "uncached_input_tokens",
                "cache_read_input_tokens",
                "cache_creation_5m_input_tokens",
                "cache_creation_1h_input_tokens",
                "output_tokens",
            ]
        )
    -}}
{%- endmacro %}

{#- Sums under the columns' own names. -#}
{% macro sums_of(columns, nullable=[]) -%}
    {%- for column in columns -%}
        {{ sum_if_all_known(column) if column in nullable else "sum(" ~ column ~ ")" }}
        as {{ column }}{{ ", " if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{#- A sum that is unknown as soon as one part is: null is not zero. -#}
{% macro sum_if_all_known(column) -%}
    case when count(*) = count({{ column }}) then sum({{ column }}) end
{%- endmacro %}

{#-
    Requests of lines that may be of cost alone: those have neither tokens nor requests, and lines of usage always have
    tokens. Unknown as soon as one line of usage does not tell them.
-#}
{% macro sum_of_requests() -%}
    case when count(requests) = count(total_tokens) then sum(requests) end
{%- endmacro %}

{#- Token types as cost lines name them, to the counter of usage lines that counts the same tokens. -#}
{% macro token_type_counters() -%}
    {{-
        return(
            {
                "uncached_input_tokens": "uncached_input_tokens",
                "output_tokens": "output_tokens",
                "cache_read_input_tokens": "cache_read_input_tokens",
                "cache_creation.ephemeral_5m_input_tokens": "cache_creation_5m_input_tokens",
                "cache_creation.ephemeral_1h_input_tokens": "cache_creation_1h_input_tokens",
            }
        )
    -}}
{%- endmacro %}
