"""Erasure: what the warehouse holds of erased people and organisations goes; their cost stays, and is nobody's.

`forgotten.json` says who; whatever it matches in the working file is erased, so that the same call also mends a run
that was killed, and a warehouse that was put back from a backup. The models are dropped, and the next build makes them
without these people.

What is here: finding them in the working file, counting, and erasing. What to add here: another table that names
people. What must not go here: the list itself (`forgotten.py`), other files (`traces.py`), when it runs
(`orchestration`).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from onelens_claude.api.answers import read_envelope, split_rows
from onelens_claude.api.endpoints import ENDPOINTS, Endpoint, Shape
from onelens_claude.api.row_types import ACTOR, ERASED_USER
from onelens_claude.clock import naive_utc, utc_now
from onelens_claude.privacy.bodies import change_rows
from onelens_claude.privacy.forgotten import ERASED_TEXT
from onelens_claude.privacy.people import changed_rows
from onelens_claude.settings.privacy import CLEAR, Pseudonyms

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import duckdb

    from onelens_claude.privacy.forgotten import Erasure, Forgotten
    from onelens_claude.warehouse.files import Warehouse

_STRUCTS = ("user", "created_by")
KEPT_MODEL = "int_raised_anomalies"
"""The one model that is not made of the raw tables alone: what was raised once stays in it."""
_WATCHED = "watch_amounts"
_RECORDS = ("erasures", "deletions")
_LOOKED_AT = "user_cost_report"
"""The endpoint that tells `watch` of people."""


@dataclass(slots=True)
class Subject:
    """Who is meant, in one organisation."""

    organization_id: str
    user_ids: set[str] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)

    @property
    def texts(self) -> set[str]:
        """What must be found nowhere afterwards: ids, addresses, and names that are more than one word."""
        return self.user_ids | self.addresses | {name for name in self.names if " " in name.strip()}


@dataclass(frozen=True, slots=True)
class Held:
    """How much of an erasure is held in one place."""

    organization_id: str
    place: str
    item_count: int


def people(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str | None, str | None, str | None]]:
    """Return every organisation, id, address and name that stand together in the raw tables."""
    selects = [
        f"select organization_id, {user_id}, unnest([{', '.join(addresses)}]) as address, {name} "
        f"from claude_raw.{table}"
        for table, user_id, addresses, name in tables_of_people()
    ]
    return connection.execute(f"select distinct * from ({' union all '.join(selects)}) order by all").fetchall()


def subjects(
    connection: duckdb.DuckDBPyConnection,
    typed: str,
    organization_id: str | None,
    pseudonyms: Pseudonyms = CLEAR,
) -> list[Subject]:
    """Return who an id or address is, per organisation: all ids that ever had the address, all addresses of each id.

    An address that somebody else has now stays theirs, unless it is the one that was typed.
    """
    known = [one for one in people(connection) if organization_id in {None, one[0]}]
    wanted = typed.casefold()
    found: dict[str, Subject] = {}
    for organization, user_id, address, _ in known:
        spelled = {wanted, (pseudonyms.address(organization, typed) or wanted) if "@" in typed else wanted}
        if spelled & {(user_id or "").casefold(), (address or "").casefold()}:
            subject = found.setdefault(organization, Subject(organization))
            if user_id and user_id != ERASED_USER:
                subject.user_ids.add(user_id)
            if address and address.casefold() in spelled:
                subject.addresses |= {address, typed}
    for organization, user_id, address, name in known:
        subject_or_none = found.get(organization)
        if subject_or_none and user_id in subject_or_none.user_ids:
            subject_or_none.addresses |= {address} if address else set()
            subject_or_none.names |= {name} if name else set()
    for subject in found.values():
        others = {
            address.casefold()
            for organization, user_id, address, _ in known
            if address and organization == subject.organization_id and user_id not in subject.user_ids
        }
        subject.addresses = {one for one in subject.addresses if one.casefold() not in others - {wanted}}
    return list(found.values())


def subjects_of(connection: duckdb.DuckDBPyConnection, forgotten: Forgotten, erasure: Erasure) -> list[Subject]:
    """Return whom of an erasure the raw tables still name."""
    found: dict[str, Subject] = {}
    for organization, user_id, address, name in people(connection):
        is_id = bool(user_id) and forgotten.names(organization, user_id or "", within=erasure)
        is_address = bool(address) and forgotten.names(organization, address or "", within=erasure)
        if is_id or is_address:
            subject = found.setdefault(organization, Subject(organization))
            subject.user_ids |= {user_id} if is_id and user_id else set()
            subject.addresses |= {address} if is_address and address else set()
            subject.names |= {name} if name else set()
    return list(found.values())


def held(connection: duckdb.DuckDBPyConnection, subject: Subject) -> list[Held]:
    """Count what the raw tables and the marts hold of a person."""
    counts = []
    for table, user_id, addresses, _ in tables_of_people():
        counts.append((f"claude_raw.{table}", _count(connection, table, _is_of(user_id, addresses), subject)))
    if pages := len(_pages(connection, subject)):
        counts.append(("claude_raw.pages", pages))
    for schema, table in connection.execute(
        """select schema_name, table_name from duckdb_columns()
        where database_name = current_database() and schema_name in ('intermediate', 'marts')
            and column_name = 'user_id'
            and table_name in (select table_name from duckdb_tables() where database_name = current_database())
        order by all"""
    ).fetchall():
        counts.append(
            (f"{schema}.{table}", _count(connection, table, "list_contains($user_ids, user_id)", subject, schema))
        )
    return [Held(subject.organization_id, place, number) for place, number in counts if number]


def held_of_organization(connection: duckdb.DuckDBPyConnection, organization_id: str) -> list[Held]:
    """Count what the raw tables hold of an organisation."""
    found = []
    for table in _tables_of_organizations(connection):
        (count,) = connection.execute(
            f"select count(*) from claude_raw.{table} where organization_id = ?", [organization_id]
        ).fetchone() or (0,)
        found += [Held(organization_id, f"claude_raw.{table}", count)] if count else []
    return found


def erase_person(connection: duckdb.DuckDBPyConnection, forgotten: Forgotten, subject: Subject) -> list[Held]:
    """Take a person out of the raw tables, and drop the models; to be called inside a transaction. Return what went."""
    gone = [one for one in held(connection, subject) if one.place.startswith("claude_raw.")]
    for endpoint, keys in _pages(connection, subject).items():
        change_rows(connection, keys, partial(changed_rows, change=forgotten.change(subject.organization_id, endpoint)))
    _change_watched_pages(connection, forgotten, subject)
    for table, user_id, addresses, _ in tables_of_people():
        _execute(connection, f"{_erasing(table)} where organization_id = $organization_id"
                 f" and ({_is_of(user_id, addresses)})", subject)  # fmt: skip
    for table, column in text_columns():
        _redact(connection, f"claude_raw.{table}", column, subject)
    drop_models(connection)
    if has_table(connection, KEPT_MODEL):
        _execute(
            connection,
            f"""delete from intermediate.{KEPT_MODEL}
            where organization_id = $organization_id and scope in ('user', 'user_product')
                and list_contains($user_ids, split_part(scope_value, '/', 1))""",
            subject,
        )
        for (column,) in connection.execute(
            "select column_name from duckdb_columns() where table_name = ? and data_type = 'VARCHAR' "
            "and column_name <> 'organization_id' and database_name = current_database()",
            [KEPT_MODEL],
        ).fetchall():
            _redact(connection, f"intermediate.{KEPT_MODEL}", column, subject)
    return gone


def erase_organization(connection: duckdb.DuckDBPyConnection, organization_id: str) -> list[Held]:
    """Delete all of an organisation, and drop the models; to be called inside a transaction. Return what went."""
    gone = held_of_organization(connection, organization_id)
    connection.execute(
        "delete from claude_raw.page_parts where pull_id in "
        "(select pull_id from claude_raw.pages where organization_id = ?)",
        [organization_id],
    )
    for table in _tables_of_organizations(connection):
        connection.execute(f"delete from claude_raw.{table} where organization_id = ?", [organization_id])
    drop_models(connection)
    if has_table(connection, KEPT_MODEL):
        connection.execute(f"delete from intermediate.{KEPT_MODEL} where organization_id = ?", [organization_id])
    return gone


def record(connection: duckdb.DuckDBPyConnection, erasure: Erasure, gone: list[Held], run_id: str | None) -> None:
    """Leave the receipt; `erased_at` is set when the file has been written anew without the bytes."""
    moment = naive_utc(utc_now())
    for one in gone:
        connection.execute(
            "insert into claude_raw.erasures values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, null)",
            [
                *(erasure.erasure_id, one.organization_id, erasure.kind, erasure.subject, one.place, one.item_count),
                *(naive_utc(dt.datetime.fromisoformat(erasure.requested_at)), erasure.requested_by, moment, run_id),
            ],
        )


def compact_after_erasure(warehouse: Warehouse) -> bool:
    """Write the working file anew where something was erased and its bytes are still in it; say whether it was."""
    unfinished = "from claude_raw.erasures where erased_at is null"
    with warehouse.writer() as connection:
        if not connection.execute(f"select 1 {unfinished} limit 1").fetchone():
            return False
    warehouse.compact()
    with warehouse.writer() as connection:
        connection.execute(
            "update claude_raw.erasures set erased_at = ? where erased_at is null", [naive_utc(utc_now())]
        )
    return True


def drop_models(connection: duckdb.DuckDBPyConnection) -> None:
    """Drop what the next build makes anew, with everything that is in it."""
    for kind, name in (("view", "view_name"), ("table", "table_name")):
        for schema, model in connection.execute(
            f"select schema_name, {name} from duckdb_{kind}s() where database_name = current_database() "
            f"and schema_name in ('staging', 'intermediate', 'marts') and {name} <> ?",
            [KEPT_MODEL],
        ).fetchall():
            connection.execute(f'drop {kind} "{schema}"."{model}"')
    if _has_schema(connection, "marts"):
        connection.execute("drop macro table if exists marts.fct_claude_costs_as_of")


def texts_of_organization(connection: duckdb.DuckDBPyConnection, organization_id: str) -> set[str]:
    """Return the ids, addresses and names of everybody in an organisation, and the API's name of it."""
    everybody = Subject(organization_id)
    for organization, user_id, address, name in people(connection):
        if organization == organization_id:
            everybody.user_ids |= {user_id} if user_id and user_id != ERASED_USER else set()
            everybody.addresses |= {address} if address else set()
            everybody.names |= {name} if name else set()
    api_ids = connection.execute(
        "select distinct api_organization_id from claude_raw.pulls "
        "where organization_id = ? and api_organization_id is not null",
        [organization_id],
    ).fetchall()
    return everybody.texts | {one for (one,) in api_ids}


def tables_of_people() -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    """Yield each table that names people: the SQL of their id, addresses and name."""
    for endpoint in ENDPOINTS.values():
        if "actor" in endpoint.columns:
            addresses = ("actor_email_address", "actor_email")
            yield endpoint.rows_table, "actor_user_id", addresses, "actor_name"
        for name in _STRUCTS:
            if name in endpoint.columns:
                addresses = (f'"{name}".email_address', f'"{name}".email')
                yield endpoint.rows_table, f'"{name}".id', addresses, "null"
    yield _WATCHED, "user_id", ("email",), "name"


def _erasing(table: str) -> str:
    """Return the statement that takes people out of a table, up to its condition."""
    if table == _WATCHED:
        return f"update claude_raw.{table} set user_id = '{ERASED_USER}', email = null, name = null, is_deleted = null"
    (endpoint,) = (one for one in ENDPOINTS.values() if one.rows_table == table)
    if "actor" in endpoint.columns:
        nulls = ", ".join(f"actor_{name} = null" for name in ACTOR if name != "user_id")
        return f"update claude_raw.{table} set actor_user_id = '{ERASED_USER}', {nulls}"
    if "user" in endpoint.columns:
        return f"delete from claude_raw.{table}"
    return f"update claude_raw.{table} set created_by = null"


def _is_of(user_id: str, addresses: tuple[str, ...]) -> str:
    has_address = [f"list_contains($addresses, lower({one}))" for one in addresses]
    return " or ".join([f"list_contains($user_ids, {user_id})", *has_address])


def _pages(connection: duckdb.DuckDBPyConnection, subject: Subject) -> dict[str, list[tuple[str, int]]]:
    """Return the pages that name a person, by endpoint: those of their rows, and those with an address elsewhere."""
    found: dict[str, set[tuple[str, int]]] = {}
    for table, user_id, addresses, _ in tables_of_people():
        if table == _WATCHED:
            continue
        (endpoint,) = (one.name for one in ENDPOINTS.values() if one.rows_table == table)
        pages = _execute(
            connection,
            f"""select distinct pull_id, page_number from claude_raw.{table}
            where organization_id = $organization_id and ({_is_of(user_id, addresses)})""",
            subject,
        ).fetchall()
        found.setdefault(endpoint, set()).update(pages)
    if subject.addresses:
        for endpoint, *key in _execute(
            connection,
            """select distinct endpoint, pull_id, page_number
            from claude_raw.page_parts
            join claude_raw.pages using (pull_id, page_number)
            where organization_id = $organization_id and regexp_matches(part, $is_address, 'i')""",
            subject,
        ).fetchall():
            found.setdefault(endpoint, set()).add((key[0], key[1]))
    return {endpoint: sorted(pages) for endpoint, pages in found.items() if pages}


def _change_watched_pages(connection: duckdb.DuckDBPyConnection, forgotten: Forgotten, subject: Subject) -> None:
    """Write the pages of looks anew; each is one body."""
    pages = _execute(
        connection,
        f"""select distinct look_id, query, page_number, payload
        from claude_raw.watch_pages
        join claude_raw.{_WATCHED} using (look_id, query, page_number)
        where {_WATCHED}.organization_id = $organization_id and ({_is_of("user_id", ("email",))})""",
        subject,
    ).fetchall()
    for look_id, query, number, payload in pages:
        body = payload.encode()
        envelope = read_envelope(body, where=look_id, request_id=None)
        head, rows, tail = split_rows(body, envelope, where=look_id, request_id=None)
        kept = changed_rows(rows, forgotten.change(subject.organization_id, _LOOKED_AT))
        connection.execute(
            "update claude_raw.watch_pages set payload = ? where look_id = ? and query = ? and page_number = ?",
            [head + kept.decode() + tail, look_id, query, number],
        )


def text_columns() -> list[tuple[str, str]]:
    """Return table and column of texts that may quote somebody: names that people gave, errors, requests."""
    endpoints: tuple[Endpoint, ...] = tuple(
        one for one in ENDPOINTS.values() if one.shape is Shape.DAY_ROWS and one.name != "summaries"
    )
    of_rows = [(one.rows_table, name) for one in endpoints for name, kind in one.columns.items() if kind == "VARCHAR"]
    return [*of_rows, ("pulls", "error_message"), ("watch_looks", "error_message"),
        ("watch_pages", "request_path"),  # which names those whose hours are asked for

            *(("alert_log", name) for name in ("title", "last_error"))]  # fmt: skip


def _redact(connection: duckdb.DuckDBPyConnection, table: str, column: str, subject: Subject) -> None:
    _execute(
        connection,
        f"""update {table} set "{column}" = regexp_replace("{column}", $is_text, '{ERASED_TEXT}', 'gi')
        where organization_id = $organization_id and regexp_matches("{column}", $is_text, 'i')""",
        subject,
    )


def _count(
    connection: duckdb.DuckDBPyConnection, table: str, condition: str, subject: Subject, schema: str = "claude_raw"
) -> int:
    (count,) = _execute(
        connection,
        f'select count(*) from "{schema}"."{table}" where organization_id = $organization_id and ({condition})',
        subject,
    ).fetchone() or (0,)
    return int(count)


def _execute(connection: duckdb.DuckDBPyConnection, sql: str, subject: Subject) -> duckdb.DuckDBPyConnection:
    """Run a statement with those of a subject's values that it names."""
    values: Mapping[str, Any] = {
        "organization_id": subject.organization_id,
        "user_ids": sorted(subject.user_ids),
        "addresses": sorted(one.casefold() for one in subject.addresses),
        "is_address": _any_of(subject.addresses),
        "is_text": _any_of(subject.texts),
    }
    return connection.execute(sql, {name: value for name, value in values.items() if f"${name}" in sql})


def _any_of(texts: set[str]) -> str:
    """Return a pattern, in DuckDB's syntax, of any of the texts; of nothing where there is none."""
    return "|".join(_pattern(one) for one in sorted(texts)) or r"\b\B"


def _pattern(text: str) -> str:
    """Return a pattern of one text that ends where a word does; RE2 knows words of ASCII alone."""
    quoted = "".join(one if one.isalnum() else f"\\x{{{ord(one):x}}}" for one in text)
    begins, ends = (r"\b" if one.isascii() and one.isalnum() else "" for one in (text[0], text[-1]))
    return f"{begins}{quoted}{ends}"


def _tables_of_organizations(connection: duckdb.DuckDBPyConnection) -> list[str]:
    found = connection.execute(
        """select table_name from duckdb_columns()
        where database_name = current_database() and schema_name = 'claude_raw' and column_name = 'organization_id'
            and table_name in (
                select table_name from duckdb_tables()
                where database_name = current_database() and schema_name = 'claude_raw'
            )
        order by all"""
    ).fetchall()
    return [table for (table,) in found if table not in _RECORDS]


def has_table(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Tell whether there is a table of this name."""
    return bool(
        connection.execute(
            "select 1 from duckdb_tables() where database_name = current_database() and table_name = ?", [name]
        ).fetchone()
    )


def _has_schema(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    return bool(
        connection.execute(
            "select 1 from duckdb_schemas() where database_name = current_database() and schema_name = ?", [name]
        ).fetchone()
    )
