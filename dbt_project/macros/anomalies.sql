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

{#- From so many standard deviations on, a day is no ordinary one. -#}
{% macro spike_score() -%} 3.5 {%- endmacro %}

{#-
    What a person is compared with. `days`, `own_level` and `own_spread` are of the person's active days: how many, the
    median of their logarithms and 1.4826 x MAD. Who has little history is compared with the peers: their level weighs like
    three days, a spread of 0.6 like eight.
-#}
{% macro spend_level(days, own_level, peer_level) -%}
    (coalesce({{ own_level }} * {{ days }}, 0) + 3 * {{ peer_level }}) / (coalesce({{ days }}, 0) + 3)
{%- endmacro %}

{% macro spend_spread(days, own_spread) -%}
    greatest(
        0.3,
        sqrt(
            (coalesce({{ days }} * power({{ own_spread }}, 2), 0) + 8 * 0.36) / (coalesce({{ days }}, 0) + 8)
        )
    )
{%- endmacro %}

{#- How far a day usually is from its level. The longer the organisation's tails, the less a far day says. -#}
{% macro spike_deviation(days, spread, tail) -%}
    power({{ tail }}, 2)
    * sqrt(power({{ spread }}, 2) * (1 + 1 / greatest({{ days }}, 1)) + 1.44 * 9 / power({{ days }} + 3, 2))
{%- endmacro %}

{#- What all have in common on a day; of few people, it cannot be told from what each does. -#}
{% macro common_shift(shift) -%} median({{ shift }}) * count(*) / (count(*) + 10) {%- endmacro %}

{#- The 99th percentile of deviations; a normal distribution has it at 2.326. -#}
{% macro far_deviation(amount, mean, deviation) -%}
    quantile_cont(({{ amount }} - {{ mean }}) / greatest({{ deviation }}, 0.3), 0.99)
{%- endmacro %}

{% macro tail(far_deviation) -%} greatest(1, coalesce({{ far_deviation }} / 2.326, 1)) {%- endmacro %}

{#- Names an incident: a series and its first day. -#}
{% macro incident_id(organization_id, scope, scope_value, metric, first_day) -%}
    md5(concat_ws('|', {{ organization_id }}, {{ scope }}, {{ scope_value }}, {{ metric }}, {{ first_day }}))
{%- endmacro %}
