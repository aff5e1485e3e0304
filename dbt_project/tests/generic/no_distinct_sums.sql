{#-
    Refuses a model whose compiled SQL adds or averages a distinct count: such a column counts people (or conversations,
    ...) once per row, and adding rows counts them again. Reads the SQL after Jinja, without comments and strings, so
    macros and line breaks make no difference. Also refused is renaming such a column so that its name no longer warns,
    because the next sum could not be seen then. A condition (`when distinct_x > 0 then`) is no sum of it.
-#}
{% test no_distinct_sums(
    model, columns_like="([a-z0-9_]*_)?distinct_[a-z0-9_]+|[a-z0-9_]*active_user_count"
) %}

    {#- relations are named without their database, and may be narrowed to some rows -#}
    {%- set found = {"package_name": "", "original_file_path": "", "name": ""} -%}
    {%- if execute -%}
        {%- for node in graph.nodes.values() if node.resource_type == "model" and node.relation_name | replace('"' ~ node.database ~ '".', "") in model | string -%}
            {%- do found.update(node) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- set target = (flags.TARGET_PATH or "target") | string -%}
    {%- set folder = (
        target if modules.re.match("/|[A-Za-z]:", target) else flags.PROJECT_DIR ~ "/" ~ target
    ) -%}
    {%- set compiled = folder ~ "/compiled/" ~ found["package_name"] ~ "/" ~ found["original_file_path"] %}

    with
        -- fails where the model was not compiled: nothing would have been looked at
        plain_models as (
            select
                regexp_replace(
                    regexp_replace(lower(content), '--[^\n]*|/\*.*?\*/', '', 'gs'), '''[^'']*''', '', 'g'
                ) as model_sql
            from read_text('{{ compiled }}')
        ),

        -- the parenthesis behind a sum or average is marked
        compiled_models as (
            select
                regexp_replace(
                    model_sql, '\b(f?sum|f?avg|mean|kahan_sum|sumkahan)\s*\(', '\1§(', 'g'
                ) as model_sql
            from plain_models
        ),

        characters as (
            select
                unnest(string_split(model_sql, '')) as character,
                generate_subscripts(string_split(model_sql, ''), 1) as position
            from compiled_models
        ),

        nested as (
            select
                position,
                character,
                lag(character) over (order by position) = '§' as is_marked,
                sum(case character when '(' then 1 when ')' then -1 else 0 end) over (
                    order by position
                ) as depth
            from characters
        ),

        openings as (select position, depth from nested where character = '(' and is_marked),

        closings as (select position, depth from nested where character = ')'),

        arguments as (
            select openings.position, min(closings.position) as closing
            from openings
            inner join
                closings on closings.position > openings.position and closings.depth = openings.depth - 1
            group by openings.position
        ),

        summed as (
            select
                regexp_replace(
                    substring(model_sql, arguments.position + 1, closing - arguments.position - 1),
                    '\bwhen\b.*?\bthen\b',
                    '',
                    'gs'
                ) as argument
            from arguments
            cross join compiled_models
        ),

        renamings as (
            select
                unnest(
                    regexp_extract_all(
                        model_sql, '(,|\bselect)\s*([a-z0-9_]+\.)?({{ columns_like }})\s+as\s+[a-z0-9_]+'
                    )
                ) as renaming
            from compiled_models
        )

    select '{{ found["name"] }}' as model_name, 'sum or average of ' || argument as refused
    from summed
    where regexp_matches(argument, '\b({{ columns_like }})\b')
    union all
    select '{{ found["name"] }}', renaming
    from renamings
    where
        not regexp_matches(renaming, '\sas\s+({{ columns_like }})$')
        -- cast(... as type) renames nothing
        and not regexp_matches(renaming, '\sas\s+(double|bigint|integer|hugeint|decimal|varchar)$')

    union all
    select '{{ found["name"] }}', 'nothing: the compiled SQL was not found'
    where not exists (select model_sql from plain_models)

{% endtest %}
