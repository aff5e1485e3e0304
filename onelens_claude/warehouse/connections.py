"""Opening a DuckDB file whose path is data: whatever its folder and its name are, its tables have the same names.

What is here: the one way to open a file and to write in one transaction, and what a file is asked before it is trusted.
What to add here: another such question. What must not go here: locks and replacing files (`files.py`), the raw tables
(`raw_tables.py`).
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import duckdb

from onelens_claude.folders import beside

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

CATALOG = "onelens"
"""What every connection, dbt's too, calls its file. DuckDB would call `marts.duckdb` like its schema `marts`."""


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
