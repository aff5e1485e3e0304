{#- One row per combination of `columns`, null being a value. `newest_only` looks at the rows of the last build: a full look at 22 million is no daily test. -#}
{% test unique_grain(model, columns, newest_only=false) %}

    select {{ columns | join(", ") }}, count(*) as row_count
    from {{ model }}
    {% if newest_only %}
        where built_through_sequence = (select max(built_through_sequence) from {{ model }})
    {% endif %}
    group by {{ columns | join(", ") }}
    having count(*) > 1

{% endtest %}
