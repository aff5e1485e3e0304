{#-
    References name schema and table, not the database: a view keeps the text it was made with, and the serving copy is a
    file, hence a database, of another name. With dbt's own `"working"."staging"."x"` no view could be read there.
-#}
{% macro ref() %} {% do return(builtins.ref(*varargs, **kwargs).include(database=false)) %} {% endmacro %}

{% macro source() %}
    {% do return(builtins.source(*varargs, **kwargs).include(database=false)) %}
{% endmacro %}
