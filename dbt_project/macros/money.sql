{#- Money is DECIMAL from the API's string to the last mart. Nothing here rounds unless its name says so. -#}
{#- Exact: the product keeps 14 fractional digits and a product too wide for DECIMAL(38, 14) is an error. -#}
{% macro cents_to_usd(cents_column) -%} cast(({{ cents_column }}) * 0.01 as decimal(38, 14)) {%- endmacro %}

{#-
    A statistic as an amount in whole cents: a double has no fourteen places, and sums of doubles differ in their last
    digits from build to build. What no amount can hold is an error, or null with `cast="try_cast"`.
-#}
{% macro statistic_usd(statistic, cast="cast") -%}
    {{ cast }} ({{ cast }} ({{ statistic }} as decimal(36, 2)) as decimal(38, 14))
{%- endmacro %}

{#-
    A part of a sum as a decimal of 12 digits; null where the sum is null or zero, and for sums beyond 100 billion dollars,
    whose digits do not fit.
-#}
{% macro share_of(part, whole) -%}
    try({{ divide_rounded(part, "(" ~ whole ~ ") * 1000000000000", multiplier="1000000000000") }})
{%- endmacro %}

{#-
    amount x multiplier / divisor in whole numbers, rounded half away from zero at the last of `digits` fractional digits;
    null when the divisor is null or zero. The operator / would make a DOUBLE of it.
-#}
{% macro divide_rounded(amount, divisor, multiplier=1, digits=12) -%}
    {%- set scaled = "cast(" ~ amount ~ " * 1000000000000 as hugeint) * " ~ multiplier -%}
    {%- set unit = "(cast(" ~ divisor ~ " as hugeint) * " ~ (10 ** (12 - digits)) ~ ")" -%}
    {%- set last_digit = "0." ~ "0" * (digits - 1) ~ "1" -%}
    {%- set quotient = (
        "divide(2 * "
        ~ scaled
        ~ " + sign("
        ~ amount
        ~ ") * "
        ~ unit
        ~ ", nullif(2 * "
        ~ unit
        ~ ", 0))"
    ) -%}
    cast(
        cast({{ quotient }} as decimal(38, 0))
        * cast({{ last_digit }} as decimal({{ digits + 1 }}, {{ digits }})) as decimal(38, {{ digits }})
    )
{%- endmacro %}
