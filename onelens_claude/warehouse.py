"""The two database files: one writer at a time, and a serving copy that is replaced as a whole.

What belongs here: connections, the writer lock, the raw tables' DDL, publishing. What does not: what is written
(`landing.py`, dbt). DuckDB lets an open writer block even readers, so people and tools read the serving copy only.
Imports no Dagster.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import time
from collections import defaultdict
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, cast

import duckdb
from filelock import FileLock, Timeout

from onelens_claude.endpoints import ENDPOINTS, Endpoint
from onelens_claude.errors import WarehouseError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from duckdb.sqltypes import DuckDBPyType

    _Fields = Mapping[str, DuckDBPyType]

_log = logging.getLogger(__name__)

STORAGE_VERSION = "v1.2.0"
"""Oldest storage format that compresses the payload text; clients from DuckDB 1.2 on can read it."""
_LOCK_REPORT_SECONDS = 20
_ORPHAN_SECONDS = 180
_HELD_BY_ANOTHER = "Could not set lock on file"
_FILE_ERRORS = (duckdb.OperationalError, duckdb.InternalError, duckdb.FatalException)
"""What DuckDB raises about the file, the disk or the memory, not about a statement or its data."""

_LEDGER_DDL = """
create schema if not exists claude_raw;
create table if not exists claude_raw.organizations (
    organization_id varchar primary key,
    name varchar not null,
    plan varchar not null,
    revision_days integer not null,
    configured_at timestamp not null
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
    run_id varchar
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
_PAGES_DDL = """
create table if not exists {table} (
    pull_id varchar not null,
    organization_id varchar not null,
    page_number integer not null,
    query varchar not null,
    request_path varchar not null,
    request_id varchar,
    fetched_at timestamp not null,
    payload varchar not null
)
"""


def row_columns(endpoint: Endpoint) -> dict[str, str]:
    """Return column name to stored type of `<endpoint>_rows`: an amount is kept as the API's decimal string."""
    keys = {
        "pull_id": "VARCHAR",
        "organization_id": "VARCHAR",
        "page_number": "INTEGER",
        "query": "VARCHAR",
        "activity_date": "DATE",
    }
    return keys | {name: "VARCHAR" if kind == "JSON" else kind for name, kind in endpoint.columns.items()}


def create_raw_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Create schema `claude_raw` and its tables where they are missing; add columns a newer version knows.

    The ledger's comment says for which version of the tables this was done last, so that it costs one query then.
    """
    layout = _layout()
    stored = connection.execute(
        "select comment from duckdb_tables() where schema_name = 'claude_raw' and table_name = 'pulls'"
    ).fetchone()
    if stored and stored[0] == layout:
        return
    connection.begin()
    try:
        connection.execute(_LEDGER_DDL)
        stored_columns = _stored_columns(connection)
        for endpoint in ENDPOINTS.values():
            connection.execute(_PAGES_DDL.format(table=f"claude_raw.{endpoint.name}"))
            _create_rows_table(connection, endpoint, stored_columns.get(endpoint.rows_table))
        connection.execute(f"comment on table claude_raw.pulls is '{layout}'")
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


@cache
def _layout() -> str:
    """Return a name of what `create_raw_tables` makes."""
    columns = {name: row_columns(endpoint) for name, endpoint in ENDPOINTS.items()}
    return f"layout {hashlib.sha256(f'{_LEDGER_DDL}{_PAGES_DDL}{columns}'.encode()).hexdigest()[:16]}"


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
        declared = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        connection.execute(f"create table {table} ({declared})")
        return
    wanted = {name: duckdb.sqltype(kind) for name, kind in columns.items()}
    for path, kind in _missing_fields(wanted, stored):
        connection.execute(f"alter table {table} add column {path} {kind}")


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


class Warehouse:
    """The working file and its serving copy."""

    def __init__(self, path: Path, serving_path: Path) -> None:
        self.path = path
        self.serving_path = serving_path

    @property
    def lock_path(self) -> Path:
        """File whose lock every writer of the working file holds."""
        return self.path.with_name(self.path.name + ".lock")

    @contextmanager
    def writer_lock(self) -> Iterator[None]:
        """Hold the one writer lock, waiting as long as another holds it; dbt runs under it too."""
        self._prepare_folder()
        lock = FileLock(self.lock_path)
        while True:
            try:
                lock.acquire(timeout=_LOCK_REPORT_SECONDS)
                break
            except Timeout:
                _log.info("Waiting for another writer of %s to finish.", self.path)
            except OSError as error:
                raise WarehouseError(f"{self.lock_path}: cannot be written: {error.strerror}") from None
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def writer(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the working file for writing, under the lock; create it and its raw tables when missing.

        WarehouseError where the file cannot be opened, or a disk that is full (or the like) ends a statement inside.
        """
        with self.writer_lock():
            connection = self._connect()
            try:
                create_raw_tables(connection)
                yield connection
            except _FILE_ERRORS as error:
                raise self._write_error(error) from None
            finally:
                self._close(connection)

    def publish(self) -> int:
        """Replace the serving copy by the working file as it is now, in one step; return its bytes.

        A reader that holds the old copy keeps it. A crash leaves the old copy, and a leftover for the next call.
        """
        with self.writer_lock():
            if not self.path.exists():
                raise WarehouseError(f"{self.path}: there is nothing to publish; run a backfill first")
            self._close(self._connect())  # opening and closing folds a write-ahead log left by a crash into the file
            new = self.serving_path.with_name(self.serving_path.name + ".new")
            try:
                new.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.path, new)
                with new.open("rb") as copied:
                    os.fsync(copied.fileno())
                duckdb.connect(str(new), read_only=True).close()
                new.replace(self.serving_path)
            except (OSError, duckdb.Error) as error:
                reason = getattr(error, "strerror", None) or error
                raise WarehouseError(f"{self.serving_path}: cannot be replaced: {reason}") from None
        return self.serving_path.stat().st_size

    def compact(self) -> None:
        """Copy everything into a new file that takes the place of the working file: DuckDB gives no space back."""
        new = self.path.with_name(self.path.name + ".compact")
        with self.writer_lock():
            connection = self._connect()
            try:
                new.unlink(missing_ok=True)
                catalog = connection.execute("select current_database()").fetchone()
                connection.execute(f"attach '{new}' as compact (storage_version '{STORAGE_VERSION}')")
                connection.execute(f'copy from database "{catalog[0] if catalog else ""}" to compact')
                connection.execute("detach compact")
            except _FILE_ERRORS as error:
                raise self._write_error(error) from None
            finally:
                self._close(connection)
            with new.open("rb") as written:
                os.fsync(written.fileno())
            new.replace(self.path)

    @contextmanager
    def reader(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the serving copy read-only; nothing it runs can reach other files or the network.

        DuckDB shares one open file within a process: a process sees a new copy once its readers of the old are closed.
        """
        if not self.serving_path.exists():
            raise WarehouseError(
                f"{self.serving_path}: there is no serving copy yet; run `onelens-claude backfill` or `make demo`"
            )
        try:
            connection = duckdb.connect(
                str(self.serving_path),
                read_only=True,
                config={"enable_external_access": "false", "autoload_known_extensions": "false"},
            )
        except duckdb.Error as error:
            raise WarehouseError(f"{self.serving_path}: cannot be read: {error}") from None
        try:
            yield connection
        finally:
            connection.close()

    def _connect(self) -> duckdb.DuckDBPyConnection:
        """Open the file, waiting for whoever has it open without our lock: the dbt of a run that was killed."""
        deadline = time.monotonic() + _ORPHAN_SECONDS
        reported = False
        while True:
            try:
                connection = duckdb.connect(str(self.path), config={"storage_compatibility_version": STORAGE_VERSION})
                break
            except duckdb.Error as error:
                if _HELD_BY_ANOTHER not in str(error) or time.monotonic() > deadline:
                    raise WarehouseError(f"{self.path}: cannot be opened for writing: {error}") from None
                if not reported:
                    _log.warning("Waiting for another process that has %s open: %s", self.path, error)
                reported = True
                time.sleep(0.5)
        connection.execute("set TimeZone = 'UTC'")
        return connection

    def _close(self, connection: duckdb.DuckDBPyConnection) -> None:
        try:
            connection.close()
        except _FILE_ERRORS as error:  # closing folds the write-ahead log into the file
            raise self._write_error(error) from None

    def _write_error(self, error: duckdb.Error) -> WarehouseError:
        return WarehouseError(f"{self.path}: cannot be written: {' '.join(str(error).split())}")

    def _prepare_folder(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WarehouseError(f"{self.path.parent}: cannot be created: {error.strerror}") from None
        if not os.access(self.path.parent, os.W_OK):
            raise WarehouseError(f"{self.path.parent}: is not writable")
