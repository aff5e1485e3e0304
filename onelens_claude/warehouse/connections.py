"""Opening a DuckDB file whose path is data: whatever its folder and its name are, its tables have the same names.

What is here: the one way to open a file and to write in one transaction, and what a file is asked before it is trusted.
What to add here: another such question. What must not go here: locks and replacing files (`files.py`), the raw tables
(`raw_tables.py`).
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import duckdb

from onelens_claude.api.rate_limit import state_directory
from onelens_claude.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

CATALOG = "onelens"
"""What every connection, dbt's too, calls its file. DuckDB would call `marts.duckdb` like its schema `marts`."""


_OBEYED = set("?*[%")


def connect(
    path: Path, *, read_only: bool = False, config: Mapping[str, str | bool | float | list[str]] | None = None
) -> duckdb.DuckDBPyConnection:
    """Open a file as `CATALOG`, in UTC; raise duckdb.Error where it cannot be opened."""
    connection = duckdb.connect(config={"temp_directory": f"{path}.tmp", **(config or {})})
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


def plain_folder(folder: Path) -> Path:
    """Return the folder itself, or a link to it if its path has one of `?*[%`; it must be there already.

    DuckDB takes them for patterns where it reads JSON, and Dagster's SQLite for parts of a URL. Raises SettingsError
    where no link can be made.
    """
    if not _OBEYED & set(str(folder)):
        return folder
    link = state_directory() / f"{hashlib.sha256(str(folder).encode()).hexdigest()[:24]}.folder"
    try:
        if _OBEYED & set(str(link)):
            raise SettingsError(f"{link.parent}: the temporary folder's path has one of ?*[%; name another in TMPDIR")
        with suppress(FileExistsError):
            link.symlink_to(folder, target_is_directory=True)
    except OSError as error:
        raise SettingsError(f"{folder}: a folder with one of ?*[% needs a link at {link}: {error.strerror}") from None
    return link


def read_through(connection: duckdb.DuckDBPyConnection) -> None:
    """Read every value of every table once: DuckDB then checks every block. Raises duckdb.Error at a damaged one."""
    tables = connection.execute(
        "select schema_name, table_name from duckdb_tables() where database_name = ?", [CATALOG]
    ).fetchall()
    for schema, table in tables:
        connection.execute(f'select last(columns(*)) from "{schema}"."{table}"').fetchall()
