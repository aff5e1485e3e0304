{#- When an account was seen as it was, so that the greatest is the newest: by fetch, then by the day it was seen on. -#}
{% macro sighting(fetched_at, pull_sequence, activity_date) -%}
    struct_pack(
        fetched_at := {{ fetched_at }},
        pull_sequence := {{ pull_sequence }},
        activity_date := {{ activity_date }}
    )
{%- endmacro %}
