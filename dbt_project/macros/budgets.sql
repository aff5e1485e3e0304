{#- First day of the UTC period that a day is in; weeks begin on Monday. -#}
{% macro period_start(period, activity_date) -%}
    case
        {{ period }}
        when 'monthly'
        then cast(date_trunc('month', {{ activity_date }}) as date)
        when 'weekly'
        then cast(date_trunc('week', {{ activity_date }}) as date)
        else {{ activity_date }}
    end
{%- endmacro %}

{#- Spend of `spend` that counts towards a row of `periods`. -#}
{% macro counts_towards_period() -%}
    spend.organization_id = periods.organization_id
    and spend.scope = periods.scope
    and spend.scope_value = periods.scope_value
    and spend.activity_date between periods.period_start and periods.period_end
{%- endmacro %}

{#- Spend reaches a percent of the limit; exact, without a quotient. -#}
{% macro reaches_percent(cents, percent, limit_cents) -%}
    {{ cents }} * 100 >= {{ percent }} * {{ limit_cents }}
{%- endmacro %}
