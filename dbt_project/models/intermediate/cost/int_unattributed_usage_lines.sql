{%- set counters = token_counters() + ["web_search_requests", "requests"] -%}
with
    {{
        remainder_lines(
            days=ref("int_usage_day_versions"),
            user_rows=ref("int_user_usage_rows"),
            answers=ref("int_usage_answers"),
            dimensions=usage_dimensions(),
            measures=counters,
            nullable=["requests"],
        )
    }}

select *
from remainder_lines
where {% for counter in counters %} coalesce({{ counter }}, 0) <> 0 {{ "or" if not loop.last }} {% endfor %}
