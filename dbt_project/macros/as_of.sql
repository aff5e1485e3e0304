{#-
    fct_claude_costs as it was at a moment: for every day the newest pull that was complete by then. A table macro of the
    warehouse, so that a reader of the serving copy can ask too:
        select * from marts.fct_claude_costs_as_of(timestamp '2026-03-05 00:00:00')
    Made anew with each build of the fact. The moment is the start of a fetch (UTC), as in cost_revisions.
-#}
{% macro create_fct_claude_costs_as_of(cost_lines) %}
    create or replace macro {{ this.schema }}.fct_claude_costs_as_of(as_of) as table (
        select * exclude (valid_from, valid_to)
        from {{ cost_lines }}
        where valid_from <= as_of and (valid_to is null or valid_to > as_of)
    )
{% endmacro %}
