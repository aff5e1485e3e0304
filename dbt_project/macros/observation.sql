{#- When an account was observed in a state, so that the greatest is the newest: by fetch, then by the day observed. -#}
{% macro observation(fetched_at, pull_sequence, activity_date) -%}
    struct_pack(
        fetched_at := {{ fetched_at }},
        pull_sequence := {{ pull_sequence }},
        activity_date := {{ activity_date }}
    )
{%- endmacro %}
