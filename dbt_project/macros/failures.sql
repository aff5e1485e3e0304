{#- What a failed pull makes of the days it was asked for: the same states and error types as in the package. -#}
{% macro failure_state(error_type="error_type") -%}
    case
        when {{ error_type }} = 'not_yet_available'
        then 'late'
        when {{ error_type }} = 'too_early'
        then 'unavailable'
        when {{ error_type }} in ('authentication_error', 'permission_error')
        then 'forbidden'
        else 'failed'
    end
{%- endmacro %}

{#- After such a failure the organisation's other days of the run were not asked for. -#}
{% macro failure_ends_the_run(error_type="error_type") -%}
    {{ error_type }} in (
        'authentication_error',
        'not_found_error',
        'permission_error',
        'settings_error',
        'transport_error',
        'wrong_organization'
    )
{%- endmacro %}
