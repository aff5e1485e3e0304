"""Hiding people: addresses and names as pseudonyms, or not at all, before an answer is stored and in what is stored.

What is here: what becomes of an answer's rows, and rewriting what was stored before `privacy.emails` said so. What to
add here: another table that names people. What must not go here: what a pseudonym is (`settings/privacy.py`), other
files (`traces.py`).
"""

from __future__ import annotations

import logging
import re
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from onelens_claude.api.answers import read_envelope, split_rows
from onelens_claude.api.endpoints import ENDPOINTS
from onelens_claude.privacy.bodies import change_rows
from onelens_claude.privacy.erasure import (
    KEPT_MODEL,
    Held,
    drop_models,
    has_table,
    people,
    tables_of_people,
    text_columns,
)
from onelens_claude.privacy.people import changed_rows, changed_values
from onelens_claude.warehouse.connections import transaction

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

    from onelens_claude.privacy.people import Person
    from onelens_claude.settings.privacy import Pseudonyms
    from onelens_claude.warehouse.files import Warehouse

_log = logging.getLogger(__name__)

_PAGES_PER_TRANSACTION = 200
_ADDRESSES = ("email_address", "email")


def hides(pseudonyms: Pseudonyms, organization_id: str) -> Callable[[str, bytes], bytes]:
    """Return what makes of an endpoint's rows those that may be stored."""

    def hidden(_: str, rows: bytes) -> bytes:
        if pseudonyms.emails == "clear":
            return rows
        try:
            return changed_rows(rows, _change(pseudonyms, organization_id))
        except msgspec.DecodeError:  # an answer that is kept because it is not of the API's form
            text = rows.decode(errors="surrogateescape").replace("\\u0040", "@")
            return pseudonyms.text(organization_id, text).encode(errors="surrogateescape")

    return hidden


def clear_people(connection: duckdb.DuckDBPyConnection, pseudonyms: Pseudonyms) -> dict[str, dict[str, str | None]]:
    """Return per organisation the addresses and names that are stored otherwise than they should be, and how."""
    found: dict[str, dict[str, str | None]] = {}
    for organization, _, address, name in people(connection):
        wanted = {address: address and pseudonyms.address(organization, address)}
        wanted |= {name: name and pseudonyms.name(organization, name)}
        changed = {clear: stored for clear, stored in wanted.items() if clear and stored != clear}
        if changed:
            found.setdefault(organization, {}).update(changed)
    return found


def hide_stored(
    warehouse: Warehouse,
    pseudonyms: Pseudonyms,
    organization_id: str,
    clear: dict[str, str | None],
    on_done: Callable[[duckdb.DuckDBPyConnection, list[Held]], None],
) -> list[Held]:
    """Rewrite what is stored of an organisation, and drop the models; return what changed.

    Pages first, in parts, and the rows last, in one transaction with the models: a run that is killed leaves rows in
    which the next finds what there is to do. A page that was rewritten already is left alone.
    """
    change = _change(pseudonyms, organization_id)
    names = [one.name for one in ENDPOINTS.values() if {"actor", "user", "created_by"} & one.columns.keys()]
    with warehouse.working_reader() as connection:
        pages = connection.execute(
            "select pull_id, page_number from claude_raw.pages "
            "where organization_id = ? and list_contains(?, endpoint) order by all",
            [organization_id, names],
        ).fetchall()
    for start in range(0, len(pages), _PAGES_PER_TRANSACTION):
        part = pages[start : start + _PAGES_PER_TRANSACTION]
        with warehouse.writer() as connection, transaction(connection):
            change_rows(connection, part, partial(changed_rows, change=change))
        _log.warning("%s: people are hidden in %s of %s pages", organization_id, start + len(part), len(pages))
    changed = [Held(organization_id, "claude_raw.pages", len(pages))]
    with warehouse.writer() as connection, transaction(connection):
        changed += _hide_rows(connection, pseudonyms, organization_id, clear)
        _hide_looks(connection, organization_id, change)
        drop_models(connection)
        on_done(connection, changed)
    return changed


def _hide_rows(
    connection: duckdb.DuckDBPyConnection, pseudonyms: Pseudonyms, organization_id: str, clear: dict[str, str | None]
) -> list[Held]:
    connection.execute("create or replace temp table hidden (clear varchar primary key, stored varchar)")
    connection.executemany("insert into hidden values (?, ?)", [list(one) for one in clear.items()])
    changed = []
    for table, user_id, addresses, name in tables_of_people():
        columns = [*addresses, *([name] if name != "null" else [])]
        if "." in user_id:  # a struct: written whole
            struct = user_id.split(".", maxsplit=1)[0]
            assigned = (
                f"{struct} = struct_update({struct}, {', '.join(_hidden(one, one.split('.')[1]) for one in columns)})"
            )
        else:
            assigned = ", ".join(_hidden(one, one, "=") for one in columns)
        is_clear = " or ".join(f"{one} in (select clear from hidden)" for one in columns)
        (count,) = connection.execute(
            f"update claude_raw.{table} set {assigned} where organization_id = ? and ({is_clear})", [organization_id]
        ).fetchone() or (0,)
        changed += [Held(organization_id, f"claude_raw.{table}", count)] if count else []
    words = re.compile("|".join(re.escape(one) for one in sorted(clear, key=len, reverse=True)))

    def hidden(text: str) -> str:
        return pseudonyms.text(organization_id, words.sub(lambda found: clear[found[0]] or "(hidden)", text))

    kept = [("intermediate", KEPT_MODEL, column) for column in _texts_of_kept_model(connection)]
    for schema, table, column in [*(("claude_raw", *one) for one in text_columns()), *kept]:
        for (text,) in connection.execute(
            f'select distinct "{column}" from {schema}.{table} where organization_id = ? and "{column}" is not null',
            [organization_id],
        ).fetchall():
            if (new := hidden(text)) != text:
                connection.execute(
                    f'update {schema}.{table} set "{column}" = ? where organization_id = ? and "{column}" = ?',
                    [new, organization_id, text],
                )
    connection.execute("drop table hidden")
    return changed


def _hidden(column: str, name: str, assigns: str = ":=") -> str:
    stored = f"(select any_value(stored) from hidden where clear = {column})"
    is_clear = f"{column} in (select clear from hidden)"
    return f"{name} {assigns} case when {is_clear} then {stored} else {column} end"


def _hide_looks(connection: duckdb.DuckDBPyConnection, organization_id: str, change: Callable[[Any], Any]) -> None:
    for look_id, query, number, payload in connection.execute(
        "select look_id, query, page_number, payload from claude_raw.watch_pages where organization_id = ?",
        [organization_id],
    ).fetchall():
        body = payload.encode()
        envelope = read_envelope(body, where=look_id, request_id=None)
        head, rows, tail = split_rows(body, envelope, where=look_id, request_id=None)
        if (kept := changed_rows(rows, change)) is not rows:
            connection.execute(
                "update claude_raw.watch_pages set payload = ? where look_id = ? and query = ? and page_number = ?",
                [head + kept.decode() + tail, look_id, query, number],
            )


def _texts_of_kept_model(connection: duckdb.DuckDBPyConnection) -> list[str]:
    if not has_table(connection, KEPT_MODEL):
        return []
    found = connection.execute(
        "select column_name from duckdb_columns() where table_name = ? and data_type = 'VARCHAR' "
        "and column_name <> 'organization_id' and database_name = current_database()",
        [KEPT_MODEL],
    ).fetchall()
    return [name for (name,) in found]


def _change(pseudonyms: Pseudonyms, organization_id: str) -> Callable[[Any], Any]:
    """Return what becomes of a row."""

    def of_person(_: str, __: Person, value: dict[str, Any]) -> Any:
        new = {}
        for key, told in value.items():
            if not isinstance(told, str):
                new[key] = told
            elif key in _ADDRESSES:
                new[key] = pseudonyms.address(organization_id, told)
            elif key == "name":
                new[key] = pseudonyms.name(organization_id, told)
            else:
                new[key] = pseudonyms.text(organization_id, told)
        return new

    return partial(changed_values, of_person=of_person, of_text=partial(pseudonyms.text, organization_id))
