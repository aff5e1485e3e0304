{#- Teams: who pays for a line, and how an amount is divided among several so that the parts are the amount. -#}
{% macro unmapped_team() -%} '(unmapped)' {%- endmacro %}

{% macro unattributed_team() -%} '(unattributed)' {%- endmacro %}

{#- What `share_units` of a whole add up to. -#}
{% macro whole_share() -%} 1000000 {%- endmacro %}

{#-
    A share of `amount`, in whole units of its last of `digits` fractional digits, by the largest remainder: each share is
    rounded towards zero, and the units that are left go one each to the largest remainders, the earlier row first. It
    needs nothing but the row: `split_units` has every share of the split, and `share_number` says which this one is.
-#}
{% macro split_share(amount, digits=0) -%}
    {%- set units = "cast(abs(" ~ amount ~ ") * " ~ (10**digits) ~ " as hugeint)" -%}
    {%- set rest = "cast(" ~ units ~ " % " ~ whole_share() ~ " as bigint)" -%}
    {%- set remainder_of_this = rest ~ " * shares.share_units % " ~ whole_share() -%}
    {%- set remainders = (
        "list_transform(shares.split_units, lambda one: "
        ~ rest
        ~ " * one % "
        ~ whole_share()
        ~ ")"
    ) -%}
    {%- set before_this = (
        "len(list_filter("
        ~ remainders
        ~ ", lambda other, place: other > "
        ~ remainder_of_this
        ~ " or (other = "
        ~ remainder_of_this
        ~ " and place < shares.share_number)))"
    ) -%}
    {%- set share = (
        "sign("
        ~ amount
        ~ ") * ("
        ~ units
        ~ " // "
        ~ whole_share()
        ~ " * shares.share_units + "
        ~ rest
        ~ " * shares.share_units // "
        ~ whole_share()
        ~ " + case when "
        ~ before_this
        ~ " < list_sum("
        ~ remainders
        ~ ") // "
        ~ whole_share()
        ~ " then 1 else 0 end)"
    ) -%}
    case
        when coalesce(shares.share_units, {{ whole_share() }}) = {{ whole_share() }}
        then {{ amount }}
        {%- if digits %}
            else
                cast(
                    cast({{ share }} as decimal(38, 0))
                    * cast(0.{{ "0" * (digits - 1) }}1 as decimal({{ digits + 1 }}, {{ digits }})) as decimal(
                        38, {{ digits }}
                    )
                )
        {%- else %} else cast({{ share }} as bigint)
        {%- endif %}
    end
{%- endmacro %}

{#- Rows of `lines` (organisation, day, user or none, and whatever else) once for each team that pays a share. -#}
{% macro team_lines(lines, keys, amounts, counters=[]) %}
    select
        {% for key in keys %} lines.{{ key }}, {% endfor %}
        case
            when lines.user_id is null
            then {{ unattributed_team() }}
            else coalesce(shares.team, {{ unmapped_team() }})
        end as team,
        {% for amount in amounts %}
            {{ split_share("lines." ~ amount, digits=12) }} as {{ amount }},
        {% endfor %}
        {% for counter in counters %} {{ split_share("lines." ~ counter) }} as {{ counter }}, {% endfor %}
        shares.cost_center
    from {{ lines }} as lines
    left join
        {{ ref("int_team_shares") }} as shares
        on lines.organization_id = shares.organization_id
        and lines.user_id = shares.user_id
        and lines.activity_date between shares.valid_from and shares.valid_to
{% endmacro %}
