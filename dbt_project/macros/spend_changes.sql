{#-
    Price, volume and mix: why a month cost another amount than the month before. Amounts go from the old to the new one
    through levels; an effect is one level less the one before, so the effects add up exactly however a level is rounded.
-#}
{% macro spend_change_effects() -%}
    {{-
        return(
            [
                "volume",
                "mix",
                "price",
                "discount",
                "new_users",
                "gone_users",
                "new_models",
                "gone_models",
                "credits",
                "other",
            ]
        )
    -}}
{%- endmacro %}
