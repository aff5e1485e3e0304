"""The atomic append of fetched pulls: verbatim pages, parsed rows, ledger rows; all of them or none.

Rows are parsed and checked in one streaming pass inside the transaction: the first row that breaks the contract stops
it with an error that quotes the row, and nothing of the batch remains.

What is here: the transaction. What to add here: a check that needs a whole pull, or more of the ledger's figures.
What must not go here: checks of one value (`parsing.py`), table definitions (`warehouse`), anything of Dagster.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

import duckdb

from onelens_claude.api import row_types
from onelens_claude.clock import naive_utc, utc_now
from onelens_claude.errors import (
    InvalidRowError,
    NotYetAvailableError,
    RepeatedKeyError,
    WrongOrganizationError,
)
from onelens_claude.landing.parsing import REFUSED, refuse, select_rows
from onelens_claude.warehouse.connections import transaction
from onelens_claude.warehouse.raw_tables import row_columns, stored_path

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence
    from decimal import Decimal

    from onelens_claude.api.endpoints import Endpoint
    from onelens_claude.errors import OnelensError
    from onelens_claude.landing.fetching import FetchedPull, PullRequest, SpooledPage

_FRACTION = r'"(?:{names})"\s*:\s*-?[0-9]+(?:\.[0-9]*[1-9][0-9]*|[eE]-[0-9]+)'
"""A counter that is not a whole number: BIGINT would round it silently."""
_DATA_ERRORS = (duckdb.DataError, duckdb.InvalidInputException)
"""What DuckDB raises about the pages; any other error is about the file or the machine."""
_KEY = re.compile(rb'"([A-Za-z_][A-Za-z0-9_\-]*)"\s*:')
_SAMPLE_BYTES = 16_384
_CSV_BUFFER = 100_000
_LINE_BREAK = 1
"""Bytes that DuckDB's longest line counts with the line."""
_MOST_NEW_FIELDS = 100
"""Noted of one pull; the raw pages have all of them."""
_LONGEST_VALUE = 80
"""Characters of a value that an error quotes."""


@dataclass(frozen=True, slots=True)
class DayFigures:
    """What one complete pull holds of one day."""

    day: dt.date
    row_count: int
    amount_cents: Decimal | None
    """Sum of `amount`; null where the endpoint has none."""


@dataclass(frozen=True, slots=True)
class AppendedPull:
    """A complete pull as the ledger has it."""

    pull: FetchedPull
    days: tuple[DayFigures, ...]


def append_pulls(
    connection: duckdb.DuckDBPyConnection, pulls: Sequence[FetchedPull], *, run_id: str | None
) -> list[AppendedPull]:
    """Append `pulls` in one transaction and return what each day holds.

    Raises InvalidPullError for the first row that breaks the contract; nothing is then appended. What is wrong with
    the file or the machine stays a duckdb.Error.
    """
    by_endpoint = attrgetter("request.endpoint.name")
    with transaction(connection):
        appended: list[AppendedPull] = []
        for _, group in groupby(sorted(pulls, key=by_endpoint), key=by_endpoint):
            appended += _append_endpoint(connection, list(group), run_id)
    return appended


def record_failure(
    connection: duckdb.DuckDBPyConnection,
    request: PullRequest,
    error: OnelensError,
    *,
    pull_id: str,
    run_id: str | None,
) -> None:
    """Leave a ledger row of a pull that failed; it has no pages."""
    connection.execute(
        "insert into claude_raw.pulls (pull_sequence, pull_id, organization_id, endpoint, window_start, "
        "window_end, status, fetched_at, page_count, row_count, byte_count, error_type, error_message, "
        "request_id, run_id, latest_available_day) "
        "values (?, ?, ?, ?, ?, ?, 'failed', ?, 0, 0, 0, ?, ?, ?, ?, ?)",
        [
            _next_sequence(connection),
            pull_id,
            request.organization_id,
            request.endpoint.name,
            request.window.start,
            request.window.end,
            naive_utc(utc_now()),
            error.error_type,
            str(error),
            getattr(error, "request_id", None),
            run_id,
            error.latest_day if isinstance(error, NotYetAvailableError) else None,
        ],
    )


def _append_endpoint(
    connection: duckdb.DuckDBPyConnection, pulls: list[FetchedPull], run_id: str | None
) -> list[AppendedPull]:
    endpoint = pulls[0].request.endpoint
    for pull in pulls:
        _check_same_organization(connection, pull)
    _describe_pages(connection, pulls)
    try:
        _insert_rows(connection, endpoint, pulls)
        _insert_pages(connection, endpoint, pulls)
        figures = _figures(connection, endpoint, pulls)
    except _DATA_ERRORS as error:
        raise _refusal(error, pulls) from None
    _refuse_repeated_keys(connection, endpoint, pulls)
    appended = [AppendedPull(pull, tuple(figures.get(pull.pull_id, ()))) for pull in pulls]
    sequence = _next_sequence(connection)
    for number, one in enumerate(appended):
        _insert_ledger_row(connection, one, sequence + number, run_id)
        _record_drift(connection, one.pull)
    connection.execute("drop table pages_of_batch")
    return appended


def _next_sequence(connection: duckdb.DuckDBPyConnection) -> int:
    row = connection.execute("select coalesce(max(pull_sequence), 0) + 1 from claude_raw.pulls").fetchone()
    return int(row[0]) if row else 1


def _check_same_organization(connection: duckdb.DuckDBPyConnection, pull: FetchedPull) -> None:
    """Refuse pages of an organisation other than the one this key answered for before, or that another id already has.

    Marts are per id of the settings, so what two ids hold of one organisation would be counted twice.
    """
    known = connection.execute(
        """select distinct organization_id, api_organization_id
        from claude_raw.pulls
        where status = 'complete' and api_organization_id is not null
            and (organization_id = $id or api_organization_id in (select unnest($ids)))""",
        {"id": pull.request.organization_id, "ids": sorted(pull.api_organization_ids)},
    ).fetchall()
    others = sorted({name for name, _ in known} - {pull.request.organization_id})
    if others:
        raise WrongOrganizationError(
            f"{pull.request}: the key answers for organisation {', '.join(sorted(pull.api_organization_ids))}, which "
            f"is held as {', '.join(others)} already; everything would be counted twice. Give each Claude organisation "
            "one entry in the settings, and keep its id",
            request_id=pull.pages[0].request_id,
        )
    ids = pull.api_organization_ids | {api_id for _, api_id in known}
    if len(ids) > 1:
        raise WrongOrganizationError(
            f"{pull.request}: the key answers for organisation {', '.join(sorted(pull.api_organization_ids))}, "
            f"but earlier data came from {', '.join(sorted(ids - pull.api_organization_ids)) or 'another'}; "
            "give each Claude organisation its own entry in the settings",
            request_id=pull.pages[0].request_id,
        )


def _describe_pages(connection: duckdb.DuckDBPyConnection, pulls: list[FetchedPull]) -> None:
    """Create a temporary table that maps each spooled file to its page."""
    pages = [(pull, number, page) for pull in pulls for number, page in enumerate(pull.pages, start=1)]
    connection.execute(
        """create or replace temp table pages_of_batch as
        select
            unnest($file::varchar[]) as file,
            unnest($pull_id::varchar[]) as pull_id,
            unnest($organization_id::varchar[]) as organization_id,
            unnest($page_number::integer[]) as page_number,
            unnest($query::varchar[]) as query,
            unnest($request_path::varchar[]) as request_path,
            unnest($request_id::varchar[]) as request_id,
            unnest($fetched_at::timestamp[]) as fetched_at,
            unnest($window_start::date[]) as window_start,
            unnest($window_end::date[]) as window_end,
            unnest($head::varchar[]) as head,
            unnest($tail::varchar[]) as tail""",
        {
            "file": [str(page.rows_path) for _, _, page in pages],
            "pull_id": [pull.pull_id for pull, _, _ in pages],
            "organization_id": [pull.request.organization_id for pull, _, _ in pages],
            "page_number": [number for _, number, _ in pages],
            "query": [page.query.name for _, _, page in pages],
            "request_path": [page.request_path for _, _, page in pages],
            "request_id": [page.request_id for _, _, page in pages],
            "fetched_at": [naive_utc(page.fetched_at) for _, _, page in pages],
            "window_start": [pull.request.window.start for pull, _, _ in pages],
            "window_end": [pull.request.window.end for pull, _, _ in pages],
            "head": [page.head for _, _, page in pages],
            "tail": [page.tail for _, _, page in pages],
        },
    )


def _insert_pages(connection: duckdb.DuckDBPyConnection, endpoint: Endpoint, pulls: list[FetchedPull]) -> None:
    """Append the bodies as they came, in parts; a nested counter with a fraction raises, where the text is at hand."""
    connection.execute(
        f"""insert into claude_raw.pages
        select '{endpoint.name}', pull_id, organization_id, page_number, query, request_path, request_id, fetched_at,
            head, tail
        from pages_of_batch"""
    )
    counters = row_types.nested_count_fields(endpoint.columns)
    fraction = _FRACTION.format(names="|".join(counters))
    refused = refuse(f"concat(regexp_extract(part, '{fraction}'), ' is not a whole number')")
    checked = f"case when regexp_matches(part, '{fraction}') then {refused} else part end" if counters else "part"
    pages = [page for pull in pulls for page in pull.pages]
    longest = [page.longest_line for page in pages if page.longest_line is not None]
    if longest:
        # No line holds a line break or the delimiter: raw control characters are not valid JSON.
        connection.execute(
            f"""insert into claude_raw.page_parts
            with lines as (
                select filename, row_number() over () as part_number, part
                from read_csv($files, columns = {{part: 'VARCHAR'}}, auto_detect = false, header = false,
                    delim = '\x01', quote = '', escape = '', new_line = '\\n', parallel = false, filename = true,
                    max_line_size = $longest, buffer_size = 10 * $longest)
            )
            select pull_id, page_number, part_number, {checked}
            from lines
            join pages_of_batch on file = filename""",
            {
                "files": [str(page.path) for page in pages if page.longest_line is not None],
                "longest": max(max(longest) + _LINE_BREAK, _CSV_BUFFER),
            },
        )
    for page in pages:
        if page.longest_line is None:
            connection.execute(
                f"""insert into claude_raw.page_parts
                select pull_id, page_number, part_number, {checked}
                from (select unnest($parts::varchar[]) as part, unnest(range(len($parts))) as part_number)
                join pages_of_batch on file = $file""",
                {"parts": page.parts(), "file": str(page.rows_path)},
            )


def _insert_rows(connection: duckdb.DuckDBPyConnection, endpoint: Endpoint, pulls: list[FetchedPull]) -> None:
    """Parse the pages and append their rows; a row that breaks the contract raises."""
    pages = [page for pull in pulls for page in pull.pages]
    names = ", ".join(f'"{name}"' for name in row_columns(endpoint))
    connection.execute(
        f"insert into claude_raw.{endpoint.rows_table} ({names}) {select_rows(endpoint)}",
        {"files": [str(page.rows_path) for page in pages], "largest": max(page.byte_count for page in pages) + 1},
    )


def _refuse_repeated_keys(connection: duckdb.DuckDBPyConnection, endpoint: Endpoint, pulls: list[FetchedPull]) -> None:
    """Raise RepeatedKeyError where two rows of one pull, query and day have the same key.

    Hashes are compared first: they cost a tenth of a grouping by up to ten texts, and hardly ever meet by chance.
    """
    key = ", ".join(["pull_id", "query", "activity_date", *map(stored_path, endpoint.row_key)])
    # erased people share one id, and with it their keys
    whose = f" and actor_user_id is distinct from '{row_types.ERASED_USER}'" if "actor" in endpoint.columns else ""
    appended = f"""from claude_raw.{endpoint.rows_table}
        where pull_id in (select unnest($pull_ids)) and activity_date >= $first and activity_date < $last{whose}"""
    parameters = {
        "pull_ids": [pull.pull_id for pull in pulls],
        "first": min(pull.request.window.start for pull in pulls),
        "last": max(pull.request.window.end for pull in pulls),
    }
    suspected = connection.execute(
        f"select 1 {appended} group by hash({key}) having count(*) > 1 limit 1", parameters
    ).fetchone()
    if not suspected:
        return
    repeated = connection.execute(
        f"""select {key}, max(page_number) as last_page, count(*) {appended}
        group by {", ".join(str(n + 1) for n in range(3 + len(endpoint.row_key)))}
        having count(*) > 1
        order by last_page, 1, 3
        limit 1""",
        parameters,
    ).fetchone()
    if not repeated:
        return
    pull_id, query, day, *values, page_number, count = repeated
    pull = next(one for one in pulls if one.pull_id == pull_id)
    request_id = pull.pages[page_number - 1].request_id
    fields = zip(endpoint.row_key, values, strict=True)
    named = "".join(f", {field} {str(value)[:_LONGEST_VALUE]!r}" for field, value in fields if value is not None)
    request_text = f" (request {request_id})" if request_id else ""
    raise RepeatedKeyError(
        f"{pull.request}: page {page_number}: the answer `{query}` has {count} rows with one key on {day}{named}; "
        f"adding them up would count something twice{request_text}",
        request_id=request_id,
    )


def _refusal(error: duckdb.Error, pulls: list[FetchedPull]) -> InvalidRowError:
    """Turn what stopped the statement into an error that names the pull, the request and the reason."""
    found = REFUSED.search(str(error))
    if found:
        pull_id, page_number, reason = found.groups()
        pull = next(one for one in pulls if one.pull_id == pull_id)
        page = pull.pages[int(page_number) - 1]
        where = f"{pull.request}: page {page_number}"
    else:
        reason = " ".join(str(error).split("Try setting", maxsplit=1)[0].split())
        named = [(pull, page) for pull in pulls for page in pull.pages if str(page.rows_path) in reason]
        pull, page = named[0] if named else (pulls[0], pulls[0].pages[0])
        where = str(pull.request) if named else ", ".join(str(one.request) for one in pulls)
        reason = reason.replace(f"{pull.folder}/", "")
    request_text = f" (request {page.request_id})" if page.request_id else ""
    return InvalidRowError(f"{where}: {reason.strip()}{request_text}", request_id=page.request_id)


def _figures(
    connection: duckdb.DuckDBPyConnection, endpoint: Endpoint, pulls: list[FetchedPull]
) -> dict[str, list[DayFigures]]:
    """Count rows and add up `amount` per pull and day, from what was just appended."""
    amount = "sum(amount)" if "amount" in endpoint.columns else "null"
    rows = connection.execute(
        f"""select pull_id, activity_date, count(*), {amount}
        from claude_raw.{endpoint.rows_table}
        where pull_id in (select unnest($pull_ids))
            and activity_date >= $first and activity_date < $last
            and query = $query
        group by all
        order by all""",
        {
            "pull_ids": [pull.pull_id for pull in pulls],
            "first": min(pull.request.window.start for pull in pulls),
            "last": max(pull.request.window.end for pull in pulls),
            "query": endpoint.queries[0].name,
        },
    ).fetchall()
    figures: dict[str, list[DayFigures]] = {pull.pull_id: [] for pull in pulls}
    for pull_id, day, count, total in rows:
        figures[pull_id].append(DayFigures(day, count, total))
    return figures


def _insert_ledger_row(
    connection: duckdb.DuckDBPyConnection, appended: AppendedPull, sequence: int, run_id: str | None
) -> None:
    pull = appended.pull
    connection.execute(
        "insert into claude_raw.pulls "
        "values (?, ?, ?, ?, ?, ?, 'complete', ?, ?, ?, ?, ?, ?, ?, null, null, ?, ?, null)",
        [
            sequence,
            pull.pull_id,
            pull.request.organization_id,
            pull.request.endpoint.name,
            pull.request.window.start,
            pull.request.window.end,
            naive_utc(pull.fetched_at),
            naive_utc(pull.data_refreshed_at) if pull.data_refreshed_at else None,
            next(iter(pull.api_organization_ids), None),
            len(pull.pages),
            sum(day.row_count for day in appended.days),
            pull.byte_count,
            pull.sha256,
            pull.pages[0].request_id,
            run_id,
        ],
    )


def _record_drift(connection: duckdb.DuckDBPyConnection, pull: FetchedPull) -> None:
    """Note each field the row types do not know, once per organisation and endpoint.

    Read are the whole first page of a pull and both ends of the others: a new field stands in every row, and
    looking at each byte again would cost more than the load.
    """
    endpoint = pull.request.endpoint
    found: set[str] = set()
    for number, page in enumerate(pull.pages):
        found |= _keys(page, whole=number == 0)
    for name in sorted(found - row_types.known_fields(endpoint.columns))[:_MOST_NEW_FIELDS]:
        connection.execute(
            "insert or ignore into claude_raw.schema_drift values (?, ?, ?, ?, ?)",
            [pull.request.organization_id, endpoint.name, name, naive_utc(pull.fetched_at), pull.pull_id],
        )


def _keys(page: SpooledPage, *, whole: bool) -> set[str]:
    with page.path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if whole or size <= 2 * _SAMPLE_BYTES:
            rows = file.read()
        else:
            rows = file.read(_SAMPLE_BYTES) + b"\0"
            file.seek(size - _SAMPLE_BYTES)
            rows += file.read()
    return {key.decode() for key in _KEY.findall(page.head.encode() + rows + page.tail.encode())}
