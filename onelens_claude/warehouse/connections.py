"""Opening a DuckDB file whose path is data: whatever its folder and its name are, its tables have the same names.

What is here: the one way to open a file and to write in one transaction, and what a file is asked before it is trusted.
What to add here: another such question. What must not go here: locks and replacing files (`files.py`), the raw tables
(`raw_tables.py`).
"""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import duckdb

from onelens_claude.folders import beside
from onelens_claude.waiting import waiting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

CATALOG = "onelens"
"""What every connection, dbt's too, calls its file. DuckDB would call `marts.duckdb` like its schema `marts`."""
_HELD_BY_ANOTHER = "Could not set lock on file"


def connect(
    path: Path, *, read_only: bool = False, config: Mapping[str, str | bool | float | list[str]] | None = None
) -> duckdb.DuckDBPyConnection:
    """Open a file as `CATALOG`, in UTC; raise duckdb.Error where it cannot be opened."""
    connection = duckdb.connect(config={"temp_directory": str(beside(path, ".tmp")), **(config or {})})
    try:
        connection.execute("set TimeZone = 'UTC'")
        attach(connection, path, CATALOG, "read_only" if read_only else "")
        connection.execute(f"use {CATALOG}")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_when_free(
    path: Path,
    *,
    seconds: float,
    told_after: float = 0.0,
    read_only: bool = False,
    config: Mapping[str, str | bool | float | list[str]] | None = None,
) -> duckdb.DuckDBPyConnection:
    """Open a file as `connect` does, waiting `seconds` at most for another process that has it open.

    People are told at once, or where others have the file open for moments only, after so many seconds.
    """
    deadline = time.monotonic() + seconds
    with ExitStack() as telling:
        is_told = False
        while True:
            try:
                return connect(path, read_only=read_only, config=config)
            except duckdb.Error as error:
                if not is_held(error) or time.monotonic() > deadline:
                    raise
                if not is_told:
                    what = f"{path}: waiting for another program to close it: {' '.join(str(error).split())}"
                    telling.enter_context(waiting(what, limit=seconds, after=told_after, topic=str(path)))
                is_told = True
                time.sleep(0.05)


def copy_without_holes(connection: duckdb.DuckDBPyConnection, new: Path, options: str = "") -> None:
    """Copy everything into a new file: DuckDB keeps the space of what was deleted, and its bytes."""
    attach(connection, new, "compact", options)
    connection.execute(f"copy from database {CATALOG} to compact")
    connection.execute("detach compact")


def is_held(error: Exception) -> bool:
    """Tell whether a file could not be opened because another process has it open."""
    return _HELD_BY_ANOTHER in str(error)


def dicts(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """Return the rows of a query, each by the names of its columns."""
    result = connection.execute(sql, list(parameters))
    names = [column[0] for column in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commit what the block does, or none of it."""
    connection.begin()
    try:
        yield
        connection.commit()
    except BaseException:
        with suppress(duckdb.TransactionException):  # a failed commit has ended the transaction already
            connection.rollback()
        raise


def attach(connection: duckdb.DuckDBPyConnection, path: Path, name: str, options: str = "") -> None:
    """Attach a file under a name; a path cannot be a parameter there."""
    literal = str(path).replace("'", "''")
    connection.execute(f"attach '{literal}' as {name}{f' ({options})' if options else ''}")


def read_through(connection: duckdb.DuckDBPyConnection) -> None:
    """Read every value of every table once: DuckDB then checks every block. Raises duckdb.Error at a damaged one."""
    tables = connection.execute(
        "select schema_name, table_name from duckdb_tables() where database_name = ?", [CATALOG]
    ).fetchall()
    for schema, table in tables:
        connection.execute(f'select last(columns(*)) from "{schema}"."{table}"').fetchall()
