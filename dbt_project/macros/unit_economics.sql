{#-
    Unit economics: what is divided by what. `direct`: the cost of exactly the user-days and products that the counter
    is about. `allocated`: the whole cost over the counter, though part of it paid for something else.
-#}
{#- Product of a cost line to the counter of stg_users that it pays for, where there is one. -#}
{% macro message_products() -%}
    {{-
        return(
            {
                "chat": "chat",
                "cowork": "cowork",
                "office_agent": "office",
                "claude_design": "design",
                "chat_cowork_unified": "chat_cowork_unified",
            }
        )
    -}}
{%- endmacro %}

{#- Unit to its counter in int_user_unit_days and how many of it one price is for. -#}
{% macro claude_code_units() -%}
    {{-
        return(
            {
                "session": ("claude_code_session_count", 1),
                "commit": ("commit_count", 1),
                "pull_request": ("pull_request_count", 1),
                "100_accepted_lines": ("accepted_line_count", 100),
            }
        )
    -}}
{%- endmacro %}

{#- US dollars per unit, rounded half away from zero at the 12th fractional digit of a cent; null for no units. -#}
{% macro usd_per_unit(cents, units, multiplier=1) -%}
    {{ cents_to_usd(divide_rounded(cents, units, multiplier)) }}
{%- endmacro %}

{% macro unit_counters() -%}
    {{-
        return(
            [
                "message_count",
                "claude_code_session_count",
                "commit_count",
                "pull_request_count",
                "accepted_line_count",
            ]
        )
    -}}
{%- endmacro %}

{#- Columns of int_user_unit_days that unit_sums reads. -#}
{% macro unit_day_columns(prefix) -%}
    {{ prefix }}user_id,
    {{ prefix }}is_active,
    {% for counter in unit_counters() %} {{ prefix }}{{ counter }}, {% endfor %}
    {% for surface in message_products().values() %}
        {{ prefix }}{{ surface }}_message_count, {{ prefix }}{{ surface }}_cents,
    {% endfor %}
    {{ prefix }}direct_message_count,
    {{ prefix }}direct_message_cents,
    {{ prefix }}claude_code_cents,
    {{ prefix }}user_cents
{%- endmacro %}

{#-
    Sums over user-days, for both marts. A user-day whose counter is not reported drops out of a direct cost and of its
    counter alike, so both stay of the same population; a count for all is unknown as soon as one part is.
-#}
{% macro unit_sums() -%}
    count(case when is_active then 1 end) as active_user_day_count,
    {% for counter in unit_counters() %}
        cast(
            case
                when count(case when is_active then 1 end) = count(case when is_active then {{ counter }} end)
                then coalesce(sum(case when is_active then {{ counter }} end), 0)
            end as bigint
        ) as {{ counter }},
    {% endfor %}
    coalesce(sum(user_cents), 0) as user_cost_cents,
    coalesce(sum(case when is_active then user_cents end), 0) as active_user_cost_cents,
    coalesce(sum(case when is_active then claude_code_cents end), 0) as claude_code_cost_cents,
    {% for product, surface in message_products().items() %}
        sum(
            case when {{ surface }}_message_count is not null then {{ surface }}_cents end
        ) as reported_{{ surface }}_cents,
        sum({{ surface }}_message_count) as reported_{{ surface }}_message_count,
    {% endfor %}
    sum(
        case when direct_message_count is not null then direct_message_cents end
    ) as reported_direct_message_cents,
    sum(direct_message_count) as reported_direct_message_count,
    {% for unit, (counter, multiplier) in claude_code_units().items() %}
        sum(case when {{ counter }} is not null then claude_code_cents end) as reported_{{ unit }}_cents,
        sum({{ counter }}) as reported_{{ counter }}{{ "," if not loop.last }}
    {% endfor %}
{%- endmacro %}

{#- The prices over the columns of unit_sums and a column with the whole cost. -#}
{% macro unit_prices(whole_cents) -%}
    {{ usd_per_unit("reported_direct_message_cents", "reported_direct_message_count") }}
    as direct_cost_per_message_usd,
    {% for product, surface in message_products().items() %}
        {{ usd_per_unit("reported_" ~ surface ~ "_cents", "reported_" ~ surface ~ "_message_count") }}
        as direct_{{ surface }}_cost_per_message_usd,
    {% endfor %}
    {% for unit, (counter, multiplier) in claude_code_units().items() %}
        {{ usd_per_unit("reported_" ~ unit ~ "_cents", "reported_" ~ counter, multiplier) }}
        as direct_claude_code_cost_per_{{ unit }}_usd,
    {% endfor %}
    {{ usd_per_unit(whole_cents, "message_count") }} as allocated_cost_per_message_usd,
    {% for unit, (counter, multiplier) in claude_code_units().items() %}
        {{ usd_per_unit(whole_cents, counter, multiplier) }}
        as allocated_cost_per_{{ "claude_code_" if unit == "session" }}{{ unit }}_usd{{ "," if not loop.last }}
    {% endfor %}
{%- endmacro %}
