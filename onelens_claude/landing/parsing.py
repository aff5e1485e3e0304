"""The SQL that turns spooled pages into typed rows, and the checks each row must pass.

One streaming pass parses and checks: the first value that breaks the contract raises an error that names its page, and
`REFUSED` reads it back.

What is here: SQL as text. What to add here: a check of one value or one row.
What must not go here: the fields of a row (`api/row_types.py`), how they are stored (`warehouse/raw_tables.py`),
running the SQL (`appending.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from onelens_claude.api import row_types
from onelens_claude.api.endpoints import Endpoint, Shape
from onelens_claude.warehouse.raw_tables import AMOUNT_TYPE, KEYS, row_columns, source_of

if TYPE_CHECKING:
    from collections.abc import Mapping

AMOUNT_PATTERN = r"-?[0-9]{1,26}(\.[0-9]{1,12}0*)?"
"""A decimal string in cents: what fits DECIMAL(38,12) with no rounding; zeros beyond the twelfth digit lose nothing."""
REFUSED = re.compile(r"refused\|([^|]*)\|([^|]*)\|(.*)", re.DOTALL)


def select_rows(endpoint: Endpoint) -> str:
    """Return the SELECT of an endpoint's rows as `row_columns` stores them, from the pages in `$files`.

    Needs the table `pages_of_batch`, which says which page a file is, and `$largest`, more bytes than any file has.
    """
    values = ", ".join(_value(endpoint, name) for name in row_columns(endpoint) if name not in KEYS)
    return f"""with api_rows as ({_api_rows(endpoint)})
        select pull_id, organization_id, page_number, query, {_activity_date(endpoint)}, {values}
        from api_rows as r
        join pages_of_batch on file = filename"""


def refuse(message_sql: str) -> str:
    """Return SQL that stops the statement, saying which page and why; `REFUSED` reads it back."""
    return f"error(concat('refused|', pull_id, '|', page_number, '|', {message_sql}))"


def _api_rows(endpoint: Endpoint) -> str:
    """Return the SELECT that turns spooled pages into `filename` and one row, or struct `r`, per API row."""
    kinds = {name: "JSON" if kind == "BIGINT" else kind for name, kind in endpoint.columns.items()}
    if endpoint.shape is Shape.DAY_ROWS:
        return f"select * from {_read_json(kinds)}"
    span = f"{_whole_day('starting_at')} as start_day, {_whole_day('ending_at')} as end_day"
    if endpoint.shape is not Shape.BUCKETS:
        return f"select *, {span} from {_read_json(kinds)}"
    result = {name: kind for name, kind in kinds.items() if name not in row_types.TIMES}
    bucket = row_types.TIMES | {"results": f"{row_types.struct(**result)}[]"}
    return f"select filename, starting_at, ending_at, {span}, unnest(results) as r from {_read_json(bucket)}"


def _whole_day(name: str) -> str:
    """Return the SQL of the UTC day that begins at a moment, null where none does; few texts need time zone data."""
    moment = f"try_cast({name} as timestamptz) at time zone 'UTC'"
    return f"""case
        when length({name}) = 20 and ends_with({name}, 'T00:00:00Z') then try_cast(left({name}, 10) as date)
        when {moment} = date_trunc('day', {moment}) then ({moment})::date end"""


def _read_json(columns: Mapping[str, str]) -> str:
    listed = ", ".join(f"\"{name}\": '{kind}'" for name, kind in columns.items())
    return (
        f"read_json($files, columns = {{{listed}}}, format = 'array', records = 'true', filename = true, "
        "maximum_object_size = $largest)"
    )


def _value(endpoint: Endpoint, column: str) -> str:
    """Return the SQL of one stored column, with the checks it must pass."""
    path = source_of(column)
    name, kind = path[-1], endpoint.columns[path[0]]
    field = _field(endpoint, *path)
    checks = []
    key = tuple(endpoint.entity_key.split("."))
    if path in {key, key[:1]}:
        missing = refuse(f"'a row has no {endpoint.entity_key}'")
        checks.append(f"when {_field(endpoint, *key)} is null then {missing}")
    if name == "currency":
        foreign = refuse(f"concat('amounts are in ', {field})")
        checks.append(f"when {field} <> 'USD' then {foreign}")
    if kind in {"JSON", "BIGINT"}:
        text = f"{field}::varchar"
        absent = refuse(f"'a row has no {name}'") if name == "amount" else "null"
        shape = _AMOUNT if kind == "JSON" else _COUNT
        wrong = refuse(f"concat('{name} ', {text}, ' is not a {shape.description}')")
        checks += [
            f"when {field} is null or {text} = 'null' then {absent}",
            f"when {shape.is_wrong.format(text=text)} then {wrong}",
        ]
        field = shape.value.format(text=text)
    return f"case {' '.join(checks)} else {field} end" if checks else field


class _Shape(NamedTuple):
    """SQL over the JSON `text` of a value that must not be rounded."""

    description: str
    is_wrong: str
    value: str


_DIGITS = "trim({text}, '\"')"
_AMOUNT = _Shape(
    "decimal string of at most 12 fractional digits",
    f"not regexp_full_match({{text}}, '\"{AMOUNT_PATTERN.replace('{', '{{').replace('}', '}}')}\"')",
    # casting to a DECIMAL of 18 digits takes a twentieth of the time, and most amounts fit
    f"coalesce(try_cast({_DIGITS} as decimal(18, 12))::{AMOUNT_TYPE}, {_DIGITS}::{AMOUNT_TYPE})",
)
_COUNT = _Shape(
    "whole number",
    # JSON keeps 15 digits of a number with a point exactly
    r"not regexp_full_match({text}, '-?([0-9]+|[0-9]{{1,15}}\.0*)') or try_cast({text} as bigint) is null",
    "{text}::bigint",
)


def _field(endpoint: Endpoint, *path: str) -> str:
    """Return where a field stands: a bucket carries the times of its results."""
    names = ".".join(f'"{name}"' for name in path)
    return f"r.r.{names}" if endpoint.shape is Shape.BUCKETS and path[0] not in row_types.TIMES else f"r.{names}"


def _activity_date(endpoint: Endpoint) -> str:
    """Return the SQL of a row's day: the request's, or its own start, checked against the window."""
    if endpoint.shape is Shape.DAY_ROWS:
        return "window_start"
    said = "concat(coalesce(r.starting_at, 'null'), ' to ', r.ending_at)"
    not_a_day = refuse(f"concat('a row from ', {said}, ' is not a whole UTC day')")
    outside = refuse(f"concat('a row from ', {said}, ' lies outside the window')")
    return f"""case
        when start_day is null or (r.ending_at is not null and end_day is distinct from start_day + 1)
            then {not_a_day}
        when start_day < window_start or start_day >= window_end then {outside}
        else start_day end"""
