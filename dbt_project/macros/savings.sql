{#-
    Savings: what an organisation could have avoided, from its own prices. Advice, kept apart from cost: one part of the
    spend can be in several kinds, so amounts of two kinds are never added up.
-#}
{#- Kind of saving to what must be true for it, as a sentence. -#}
{% macro savings_assumptions() -%}
    {{-
        return(
            {
                "fast_mode": "The work could wait: standard speed would have done.",
                "us_inference": "Nobody asked for inference in the US alone: global would have done.",
                "long_context": "The prompts could have been kept within 200k tokens, with no more tokens in all.",
                "low_cache_reuse": "The input could be cached as well as by the best third of the users of the same product.",
                "premium_model": "The next smaller family answers short requests as well, with as many tokens.",
                "idle_seat": "A seat whose holder did nothing for 30 days is not needed; what a seat costs is not reported.",
            }
        )
    -}}
{%- endmacro %}

{#- Condition: the dimensions have their plain value, or the API has none. -#}
{% macro is_plain(relation, dimensions) -%}
    {%- set plain = {"context_window": "0-200k", "inference_geo": "global", "speed": "standard"} -%}
    {%- for dimension in dimensions -%}
        coalesce({{ relation }}.{{ dimension }}, '{{ plain[dimension] }}')
        = '{{ plain[dimension] }}'{{ " and " if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{#- Tokens x dollars per million = 1/10,000 cents. -#}
{% macro list_cents(tokens, usd_per_million_tokens) -%}
    (cast({{ tokens }} as decimal(18, 0)) * cast({{ usd_per_million_tokens }} as decimal(16, 6)) * 0.0001)
{%- endmacro %}

{#- Whose prices the rows with a price have; null where none has one. -#}
{% macro price_source(is_priced, is_own) -%}
    case
        when count(*) filter (where {{ is_priced }}) = 0
        then null
        when
            count(*) filter (where {{ is_priced }} and {{ is_own }}) = count(*) filter (where {{ is_priced }})
        then 'own_prices'
        when count(*) filter (where {{ is_priced }} and {{ is_own }}) = 0
        then 'list_prices'
        else 'mixed'
    end
{%- endmacro %}

{#- The family of a model by its name; null for one without. -#}
{% macro model_family(model) -%}
    case
        {% for family in ["opus", "sonnet", "haiku"] %}
            when {{ model }} like '%{{ family }}%' then '{{ family }}'
        {% endfor %}
    end
{%- endmacro %}

{#- A share as people say it. -#}
{% macro percent_text(share) -%} cast({{ share }} * 100 as decimal(36, 0)) || ' %' {%- endmacro %}
