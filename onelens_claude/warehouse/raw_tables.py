"""The tables of schema `claude_raw`: creating them and bringing them up to date.

    pulls, organizations, schema_drift   the ledger
    deletions                            what the retention deleted
    erasures                             what `forget` erased: the receipts
    budgets, anomaly_settings, holidays, team_map   what the settings say to the models
    alert_log                            what channels were told, copied from the alert log before each publication
    pages, page_parts                    every page as it came: its beginning and end, and its rows in parts
    <endpoint>                           view: one row per page, `payload` is the whole response body
    <endpoint>_rows                      the rows of these pages, typed
    watch_looks, watch_pages, watch_amounts   what `watch` saw of the running day; no pull, and in no ledger

A page is stored in parts because DuckDB handles a column in vectors of 2,048 values: with two megabytes per value, a
large pull would be in memory several times.

What is here: table definitions and their migrations. What to add here: a table, a column, a migration.
What must not go here: what is written to them (`landing`), models (`dbt_project`), anything of Dagster.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, cast

import duckdb

from onelens_claude.api import row_types
from onelens_claude.api.endpoints import ENDPOINTS, Endpoint, Shape
from onelens_claude.warehouse.connections import transaction

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from duckdb.sqltypes import DuckDBPyType

    _Fields = Mapping[str, DuckDBPyType]

AMOUNT_TYPE = "DECIMAL(38, 12)"
WATCH_TABLES = {
    "watch_looks": "look_id",
    "watch_pages": "look_id, query, page_number",
    "watch_amounts": "look_id, query, page_number",
}
"""What `watch` saw of the running day, with what tells one append of a table from the others."""
_LEDGER_DDL = """
create schema if not exists claude_raw;
create table if not exists claude_raw.organizations (
    organization_id varchar primary key,
    name varchar not null,
    plan varchar not null,
    revision_days integer not null,
    configured_at timestamp not null
);
create table if not exists claude_raw.budgets (
    budget_id varchar primary key,
    organization_id varchar not null,
    scope varchar not null,
    scope_value varchar,
    period varchar not null,
    limit_usd decimal(38, 14) not null,
    warn_percents integer[] not null,
    forecast boolean default false,
    addresses map(varchar, varchar)
);
alter table claude_raw.budgets add column if not exists forecast boolean default false;
alter table claude_raw.budgets add column if not exists addresses map(varchar, varchar);
create table if not exists claude_raw.anomaly_settings (
    sensitivity varchar not null,
    floor_usd decimal(38, 14) not null,
    floor_tokens bigint not null
);
create table if not exists claude_raw.holidays (holiday date primary key);
create table if not exists claude_raw.team_map (
    row_number integer primary key,
    match varchar not null,
    is_pattern boolean not null,
    team varchar not null,
    cost_center varchar,
    valid_from date not null,
    valid_to date not null,
    percent decimal(7, 4) not null
);
create table if not exists claude_raw.alert_log (
    alert_key varchar not null,
    event varchar not null,
    organization_id varchar not null,
    channel varchar not null,
    status varchar not null,
    first_seen_at timestamp not null,
    sent_at timestamp,
    attempts integer not null,
    last_error varchar,
    told_in varchar,
    correction_of varchar,
    severity varchar not null,
    occurred_on date not null,
    impact_usd decimal(38, 14),
    title varchar not null
);
create table if not exists claude_raw.pulls (
    pull_sequence bigint not null,
    pull_id varchar primary key,
    organization_id varchar not null,
    endpoint varchar not null,
    window_start date not null,
    window_end date not null,
    status varchar not null check (status in ('complete', 'failed')),
    fetched_at timestamp not null,
    data_refreshed_at timestamp,
    api_organization_id varchar,
    page_count integer not null,
    row_count bigint not null,
    byte_count bigint not null,
    sha256 varchar,
    error_type varchar,
    error_message varchar,
    request_id varchar,
    run_id varchar,
    latest_available_day date
);
alter table claude_raw.pulls add column if not exists latest_available_day date;
create table if not exists claude_raw.deletions (
    organization_id varchar not null,
    endpoint varchar not null,
    deleted_before date not null,
    first_day date not null,
    pull_count bigint not null,
    row_count bigint not null,
    deleted_at timestamp not null,
    run_id varchar,
    erased_at timestamp
);
create table if not exists claude_raw.erasures (
    erasure_id varchar not null,
    organization_id varchar not null,
    kind varchar not null check (kind in ('user', 'organization', 'emails')),
    subject_hash varchar not null,
    place varchar not null,
    item_count bigint not null,
    requested_at timestamp not null,
    requested_by varchar not null,
    applied_at timestamp not null,
    run_id varchar,
    erased_at timestamp
);
create table if not exists claude_raw.schema_drift (
    organization_id varchar not null,
    endpoint varchar not null,
    field varchar not null,
    first_seen_at timestamp not null,
    first_pull_id varchar not null,
    primary key (organization_id, endpoint, field)
);
"""
_FILL_LATEST_AVAILABLE_DAY = """
update claude_raw.pulls
set latest_available_day = list_max([
    try_cast(named as date)
    for named in regexp_extract_all(error_message, '[0-9]{4}-[0-9]{2}-[0-9]{2}')
    if try_cast(named as date) < window_start
])
where error_type = 'not_yet_available'
"""
"""For failures recorded before the ledger had the column: the newest day before the window that the message names."""
_PAGES_DDL = """
create table if not exists claude_raw.pages (
    endpoint varchar not null,
    pull_id varchar not null,
    organization_id varchar not null,
    page_number integer not null,
    query varchar not null,
    request_path varchar not null,
    request_id varchar,
    fetched_at timestamp not null,
    head varchar not null,
    tail varchar not null
);
create table if not exists claude_raw.page_parts (
    pull_id varchar not null,
    page_number integer not null,
    part_number bigint not null,
    part varchar not null using compression zstd
);
"""
_ENDPOINT_DDL = """
create or replace view claude_raw.{endpoint} as
select
    pull_id, organization_id, page_number, query, request_path, request_id, fetched_at,
    concat(head, string_agg(part, '' order by part_number), tail) as payload
from claude_raw.pages
join claude_raw.page_parts using (pull_id, page_number)
where endpoint = '{endpoint}'
group by pull_id, organization_id, page_number, query, request_path, request_id, fetched_at, head, tail
"""
_WATCH_DDL = f"""
create table if not exists claude_raw.watch_looks (
    look_sequence bigint not null,
    look_id varchar primary key,
    organization_id varchar not null,
    activity_date date not null,
    status varchar not null check (status in ('complete', 'failed', 'aside')),
    looked_at timestamp not null,
    data_refreshed_at timestamp,
    error_type varchar,
    error_message varchar,
    request_id varchar,
    run_id varchar
);
create table if not exists claude_raw.watch_pages (
    look_id varchar not null,
    organization_id varchar not null,
    query varchar not null,
    page_number integer not null,
    is_last boolean not null,
    request_path varchar not null,
    request_id varchar,
    fetched_at timestamp not null,
    data_refreshed_at timestamp,
    payload varchar not null using compression zstd
);
create table if not exists claude_raw.watch_amounts (
    look_id varchar not null,
    organization_id varchar not null,
    query varchar not null using compression dictionary,
    page_number integer not null,
    starting_at timestamp not null,
    user_id varchar,
    email varchar,
    name varchar,
    is_deleted boolean,
    product varchar using compression dictionary,
    model varchar using compression dictionary,
    amount {AMOUNT_TYPE} not null,
    list_amount {AMOUNT_TYPE}
);
"""
KEYS = {
    "pull_id": "VARCHAR",
    "organization_id": "VARCHAR",
    "page_number": "INTEGER",
    "query": "VARCHAR",
    "activity_date": "DATE",
}
_ACTOR = {f"actor_{field}": field for field in row_types.ACTOR}
_ACTOR_COLUMNS = {field: column for column, field in _ACTOR.items()}


def pull_days(pulls: str = "claude_raw.pulls") -> str:
    """Return SQL of every complete pull, once for each day of its window: the ledger's columns and `activity_date`.

    A day's pulls follow each other by `pull_sequence`; the clock may have been wrong. No view, because the file that is
    read may be one that an earlier version published.
    """
    return f"""
        select *, unnest(range(window_start, window_end, interval 1 day))::date as activity_date
        from {pulls}
        where status = 'complete'"""


def row_columns(endpoint: Endpoint) -> dict[str, str]:
    """Return column name to stored type of `<endpoint>_rows`.

    As the API's row, but for amounts, which are exact decimals; the span, which is the activity date; and the actor,
    whose fields are columns, because the compression of a struct's fields cannot be chosen.
    """
    columns = dict(KEYS)
    for name, kind in endpoint.columns.items():
        if name == "actor":
            columns |= {column: row_types.ACTOR[field] for column, field in _ACTOR.items()}
        elif name not in row_types.TIMES:
            columns[name] = AMOUNT_TYPE if kind == "JSON" else kind
    return columns


def source_of(column: str) -> tuple[str, ...]:
    """Return the path in an API row of what a column of `<endpoint>_rows` holds."""
    return ("actor", _ACTOR[column]) if column in _ACTOR else (column,)


def stored_path(field: str) -> str:
    """Return the SQL of a field of an API row, named by its path, in `<endpoint>_rows`."""
    first, _, rest = field.partition(".")
    return _ACTOR_COLUMNS[rest] if first == "actor" else ".".join(f'"{name}"' for name in field.split("."))


def create_raw_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Create schema `claude_raw` and its tables where they are missing; add columns a newer version knows.

    The macro `claude_raw.layout` says for which version of the tables this was done last: it costs one query then.
    """
    if is_current(connection):
        return
    with transaction(connection):
        stored_columns = _stored_columns(connection)
        connection.execute(_LEDGER_DDL)
        connection.execute(_PAGES_DDL)
        connection.execute(_WATCH_DDL)
        if "latest_available_day" not in stored_columns.get("pulls", {}):
            connection.execute(_FILL_LATEST_AVAILABLE_DAY)
        for endpoint in ENDPOINTS.values():
            connection.execute(_ENDPOINT_DDL.format(endpoint=endpoint.name))
            _create_rows_table(connection, endpoint, stored_columns.get(endpoint.rows_table))
        connection.execute(f"create or replace macro claude_raw.layout() as '{_layout()}'")


def is_current(connection: duckdb.DuckDBPyConnection) -> bool:
    """Tell whether the raw tables are those of this version."""
    try:
        stored = connection.execute("select claude_raw.layout()").fetchone()
    except duckdb.CatalogException:  # no tables, or those of a version without the macro
        return False
    return stored == (_layout(),)


@cache
def _layout() -> str:
    """Return a name of what `create_raw_tables` makes."""
    columns = {name: row_columns(endpoint) for name, endpoint in ENDPOINTS.items()}
    made = f"{_LEDGER_DDL}{_PAGES_DDL}{_WATCH_DDL}{_ENDPOINT_DDL}{columns}"
    return f"layout {hashlib.sha256(made.encode()).hexdigest()[:16]}"


def _stored_columns(connection: duckdb.DuckDBPyConnection) -> dict[str, _Fields]:
    """Return table to column to type of everything in `claude_raw`."""
    tables: dict[str, dict[str, DuckDBPyType]] = defaultdict(dict)
    found = connection.execute(
        "select table_name, column_name, data_type from duckdb_columns() where schema_name = 'claude_raw'"
    ).fetchall()
    for table, column, kind in found:
        tables[table][column] = duckdb.sqltype(kind)
    return dict(tables)


def _create_rows_table(connection: duckdb.DuckDBPyConnection, endpoint: Endpoint, stored: _Fields | None) -> None:
    table = f"claude_raw.{endpoint.rows_table}"
    columns = row_columns(endpoint)
    if stored is None:
        declared = ", ".join(f'"{name}" {kind}{_compression(endpoint, kind)}' for name, kind in columns.items())
        connection.execute(f"create table {table} ({declared})")
        return
    wanted = {name: duckdb.sqltype(kind) for name, kind in columns.items()}
    for path, kind in _missing_fields(wanted, stored):
        connection.execute(f"alter table {table} add column {path} {kind}")


def _compression(endpoint: Endpoint, kind: str) -> str:
    """Texts of the reports repeat: naming the compression spares DuckDB a trial of each, a fifth of the load's CPU."""
    return " using compression dictionary" if kind == "VARCHAR" and endpoint.shape in _REPORTS else ""


_REPORTS = frozenset({Shape.USER_ROWS, Shape.BUCKETS, Shape.FLAT_ROWS})


def _missing_fields(wanted: _Fields, stored: _Fields, prefix: str = "") -> Iterator[tuple[str, DuckDBPyType]]:
    """Yield path and type of each wanted field, at any depth of its structs, that is not stored."""
    for name, kind in wanted.items():
        path = f'{prefix}"{name}"'
        if name not in stored:
            yield path, kind
        elif kind.id == stored[name].id == "struct":
            yield from _missing_fields(_members(kind), _members(stored[name]), f"{path}.")


def _members(struct: DuckDBPyType) -> _Fields:
    return cast("_Fields", dict(struct.children))
