"""What was spent and used, as compact columns that the page's filters add up exactly.

An amount is two integers: whole millionths of a dollar, and what remains in units of 10^-14 dollars, the last digit
that a mart holds. Either sum stays below 2^53, so the browser's is exact too. A day is a number of days since 1970.

What is here: spend by day, product and model, and by person. Where a person's days would make the page too large, the
older ones are added up to months, without product and model. What to add here: another measure of the same lines.
What must not go here: rows that are shown as they are (`tables.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onelens_claude.report.people import read_people

if TYPE_CHECKING:
    import datetime as dt

    import duckdb

    from onelens_claude.report.people import People

MOST_ROWS_BY_PERSON = 80_000
"""More would not fit into a page of 3 MB; months stand for the older days of each person then."""
MOST_PEOPLE = 1_000
"""With more, the page names `MOST_NAMED` and adds up the rest."""
MOST_NAMED = 500

_MILLIONTH = 100_000_000
"""In units of 10^-14 dollars."""
_AMOUNTS = ", ".join(
    f"({units} // {_MILLIONTH})::bigint as {name}, ({units} % {_MILLIONTH})::bigint as {name}_rest"
    for name, units in (
        ("paid", "(coalesce(sum(amount_cents), 0) * 1000000000000)::hugeint"),
        ("list", "(coalesce(sum(list_amount_cents), 0) * 1000000000000)::hugeint"),
    )
)
_TOKENS = ("uncached", "cache_read", "cache_write", "output")


def prepare(connection: duckdb.DuckDBPyConnection, organizations: list[str] | None) -> None:
    """Make the temporary tables that everything here reads: the organisations of the page, and its lines."""
    connection.execute(
        """create temp table reported_organizations as
        select organization_id, row_number() over (order by organization_id) - 1 as organization
        from marts.dim_claude_organizations
        where $all or list_contains($ids, organization_id)""",
        {"all": organizations is None, "ids": organizations or []},
    )
    connection.execute(
        """create temp table spend_lines as
        with lines as (
            select organization_id, activity_date, user_id, attribution, product, model, is_placed,
                amount_cents, list_amount_cents, list_amount_cents is null as is_list_unknown,
                0 as uncached, 0 as cache_read, 0 as cache_write, 0 as output, 0 as requests
            from marts.fct_claude_costs
            union all by name
            select organization_id, activity_date, user_id, attribution, product, model, is_placed, 0 as amount_cents,
                0 as list_amount_cents, false as is_list_unknown,
                uncached_input_tokens as uncached, cache_read_input_tokens as cache_read,
                cache_creation_5m_input_tokens + cache_creation_1h_input_tokens as cache_write,
                output_tokens as output, requests
            from marts.fct_claude_usage
        )

        select organization_id, activity_date, user_id, attribution,
            coalesce(product, if(is_placed, '(no product)', '(not known)')) as product,
            coalesce(model, if(is_placed, '(no model)', '(not known)')) as model,
            sum(amount_cents) as amount_cents, sum(list_amount_cents) as list_amount_cents,
            bool_or(is_list_unknown) as is_list_unknown,
            sum(uncached)::bigint as uncached, sum(cache_read)::bigint as cache_read,
            sum(cache_write)::bigint as cache_write, sum(output)::bigint as output, sum(requests)::bigint as requests
        from lines
        join reported_organizations using (organization_id)
        group by all"""
    )


def dimension(connection: duckdb.DuckDBPyConnection, column: str) -> list[str]:
    """Return the products or models, the one with most spend first, and keep their numbers in a table."""
    connection.execute(
        f"""create temp table {column}_numbers as
        select {column}, row_number() over (order by sum(amount_cents) desc, {column}) - 1 as {column}_number
        from spend_lines group by {column}"""
    )
    found = connection.execute(f"select {column} from {column}_numbers order by {column}_number").fetchall()
    return [row[0] for row in found]


def spend(connection: duckdb.DuckDBPyConnection, *, is_redacted: bool) -> tuple[dict[str, Any], People]:
    """Return both sets of columns with what their numbers stand for, and everybody on the page."""
    products, models = dimension(connection, "product"), dimension(connection, "model")
    most_named, months_before = _what_fits(connection)
    people = read_people(connection, is_redacted=is_redacted, most_named=most_named)
    _number_people(connection, people, months_before)
    tokens = ", ".join(f"sum({name})::bigint as {name}" for name in _TOKENS)
    by_day = _columns(
        connection,
        f"""select organization, activity_date - date '1970-01-01' as day, product_number as product,
            model_number as model, {_AMOUNTS}, bool_or(is_list_unknown)::int as list_unknown, {tokens},
            sum(requests)::bigint as requests
        from spend_lines
        join reported_organizations using (organization_id)
        join product_numbers using (product)
        join model_numbers using (model)
        group by all
        order by all""",
    )
    by_person = _columns(
        connection,
        f"""select person, period - date '1970-01-01' as day, if(is_folded, -1, product_number) as product,
            if(is_folded, -1, model_number) as model, {_AMOUNTS}, bool_or(is_list_unknown)::int as list_unknown,
            sum(uncached + cache_read + cache_write + output)::bigint as tokens
        from person_lines
        join product_numbers using (product)
        join model_numbers using (model)
        group by all
        order by all""",
    )
    active = _columns(
        connection,
        """select person, period - date '1970-01-01' as month, count(distinct activity_date) as days
        from person_lines
        where is_folded
        group by all
        order by all""",
    )
    spent = {
        "products": products,
        "models": models,
        "by_day": by_day,
        "by_person": by_person,
        "active_days_of_months": active,
        "months_before": None if months_before is None else months_before.isoformat(),
    }
    return spent, people


def _number_people(connection: duckdb.DuckDBPyConnection, people: People, months_before: dt.date | None) -> None:
    """Make the table of lines by person and period; product and model of a user's folded months are not kept."""
    connection.execute("create temp table person_numbers (organization_id text, user_id text, kind text, person int)")
    rows = [(one.organization_id, one.user_id, one.kind, n) for n, one in enumerate(people.persons)]
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        connection.execute("insert into person_numbers select unnest($1), unnest($2), unnest($3), unnest($4)", columns)
    connection.execute(
        """create temp table person_lines as
        select lines.*, coalesce(named.person, others.person) as person,
            coalesce(activity_date < $months_before, false) as is_old,
            is_old and lines.user_id is not null as is_folded,
            if(is_old, date_trunc('month', activity_date), activity_date)::date as period
        from spend_lines as lines
        left join person_numbers as named
            on named.kind = 'user' and lines.organization_id = named.organization_id and lines.user_id = named.user_id
        left join person_numbers as others
            on lines.organization_id = others.organization_id
            and others.kind = if(lines.user_id is null, lines.attribution, 'rest')""",
        {"months_before": months_before},
    )


def _what_fits(connection: duckdb.DuckDBPyConnection) -> tuple[int, dt.date | None]:
    """Return how many people are named, and the month before which each of their months is one row; null: none is."""
    counted = connection.execute(
        """with ranked as (
            select organization_id, user_id,
                row_number() over (order by sum(amount_cents) desc, organization_id, user_id) as place
            from spend_lines
            where user_id is not null
            group by organization_id, user_id
        )

        select (select count(*) from ranked), date_trunc('month', activity_date)::date as month,
            count(*) filter (place <= $named), count(*)
        from spend_lines
        join ranked using (organization_id, user_id)
        group by month
        order by month desc""",
        {"named": MOST_NAMED},
    ).fetchall()
    if not counted:
        return MOST_PEOPLE, None
    is_everybody = counted[0][0] <= MOST_PEOPLE and sum(rows for *_, rows in counted[:2]) <= MOST_ROWS_BY_PERSON
    left = MOST_ROWS_BY_PERSON
    for number, (_, _, of_named, of_all) in enumerate(counted):
        left -= of_all if is_everybody else of_named
        if left < 0 and number > 1:  # this month and the one before are always there by day
            return MOST_PEOPLE if is_everybody else MOST_NAMED, counted[number - 1][1]
    return MOST_PEOPLE if is_everybody else MOST_NAMED, None


def _columns(connection: duckdb.DuckDBPyConnection, sql: str, parameters: dict[str, Any] | None = None) -> Any:
    result = connection.execute(sql, parameters or {})
    names = [column[0] for column in result.description or []]
    columns = list(zip(*result.fetchall(), strict=True)) or [()] * len(names)
    return dict(zip(names, map(list, columns), strict=True))
