"""The two database files: one writer at a time, and a serving copy that is replaced as a whole.

DuckDB lets an open writer block even readers, so people and tools read only the serving copy.

What is here: connections, the writer lock, publishing. What to add here: another way to open or replace a file.
What must not go here: the raw tables (`raw_tables.py`), what is written (`landing`, dbt), anything of Dagster.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
from filelock import FileLock, Timeout

from onelens_claude.errors import WarehouseError
from onelens_claude.waiting import waiting
from onelens_claude.warehouse.raw_tables import create_raw_tables, is_current

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onelens_claude.settings import Settings

_log = logging.getLogger(__name__)

STORAGE_VERSION = "v1.2.0"
"""Oldest storage format that compresses the payload text; clients from DuckDB 1.2 on can read it."""
_WRITER_CONFIG: dict[str, str | bool | float | list[str]] = {
    "storage_compatibility_version": STORAGE_VERSION,
    "threads": 1,
    "write_buffer_row_group_count": 1,
    "max_vacuum_tasks": 0,
}
"""The API's rate limit sets the pace: one thread and one row group at a time take the least CPU and memory. Nothing is
deleted here, so a checkpoint need not look for row groups to put together."""
_LONGEST_LOCK_WAIT = 4 * 3600.0
"""Seconds: a full build of a large history takes an hour."""
_ORPHAN_SECONDS = 180
_TOLD_AFTER = 1.0
"""Seconds: between two appends, the lock is taken for less."""
_HELD_BY_ANOTHER = "Could not set lock on file"
_FILE_ERRORS = (duckdb.OperationalError, duckdb.InternalError, duckdb.FatalException)
"""What DuckDB raises about the file, the disk or the memory, not about a statement or its data."""


class Warehouse:
    """The working file and its serving copy."""

    def __init__(self, path: Path, serving_path: Path) -> None:
        self.path = path
        self.serving_path = serving_path

    @classmethod
    def of(cls, settings: Settings) -> Warehouse:
        """Return the two files that the settings name."""
        return cls(settings.warehouse_path, settings.serving_path)

    @property
    def lock_path(self) -> Path:
        """File whose lock every writer of the working file holds."""
        return self.path.with_name(self.path.name + ".lock")

    @contextmanager
    def writer_lock(self) -> Iterator[None]:
        """Hold the one writer lock, waiting while another holds it; dbt runs under it too.

        Raises WarehouseError where the lock cannot be taken, for four hours at most.
        """
        self._prepare_folder()
        lock = FileLock(self.lock_path)
        try:
            with waiting(
                lambda: f"{self.path}: waiting for {_holder(self.lock_path)} to finish writing",
                limit=_LONGEST_LOCK_WAIT,
                after=_TOLD_AFTER,
                topic=str(self.path),
            ):
                lock.acquire(timeout=_LONGEST_LOCK_WAIT)
        except Timeout:
            raise WarehouseError(
                f"{self.path}: {_holder(self.lock_path)} has been writing for {_LONGEST_LOCK_WAIT / 3600:.0f} hours; "
                "end it if it hangs, then run the same command again"
            ) from None
        except OSError as error:
            raise WarehouseError(f"{self.lock_path}: cannot be written: {error.strerror}") from None
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def writer(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the working file for writing, under the lock; create it and its raw tables when missing.

        Raises WarehouseError when the file cannot be opened, or when the disk or the machine ends a statement inside.
        """
        with self.writer_lock(), self._writable() as connection:
            yield connection

    @contextmanager
    def working_reader(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the working file read-only, under the lock: what is there now, published or not.

        A file that is missing or of an earlier version is first made what `writer` would make it.
        """
        with self.writer_lock(), ExitStack() as stack:
            connection = stack.enter_context(self._connect(read_only=True)) if self.path.exists() else None
            if connection is None or not is_current(connection):
                stack.close()  # one process cannot read and write a file at once
                with self._writable():
                    pass
                connection = stack.enter_context(self._connect(read_only=True))
            yield connection

    @contextmanager
    def newest_reader(self) -> Iterator[duckdb.DuckDBPyConnection | None]:
        """Yield the newest state there is to read: the working file, or the serving copy while somebody writes.

        Null where there is neither. The working file also knows what a backfill brought that was killed.
        """
        self.upgrade()
        with ExitStack() as stack:
            connection = None
            with suppress(Timeout, OSError, duckdb.Error):
                if self.path.exists():
                    stack.enter_context(FileLock(self.lock_path, blocking=False))
                    connection = stack.enter_context(duckdb.connect(str(self.path), read_only=True))
            if connection is None and self.serving_path.exists():
                connection = stack.enter_context(self.reader())
            yield connection

    @contextmanager
    def _writable(self) -> Iterator[duckdb.DuckDBPyConnection]:
        connection = self._connect()
        try:
            create_raw_tables(connection)
            yield connection
        except _FILE_ERRORS as error:
            raise self._write_error(error) from None
        finally:
            self._close(connection)

    def upgrade(self) -> None:
        """Bring the raw tables of a working file that an earlier version wrote up to date; the next build publishes."""
        try:
            with duckdb.connect(str(self.path), read_only=True) as connection:
                is_old = not is_current(connection)
        except duckdb.Error:  # there is no file yet, or a writer has it open and has already checked
            return
        if is_old:
            _log.info("%s was written by an earlier version; its raw tables are converted.", self.path)
            with self.writer():
                pass

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
        """Open the serving copy read-only (`open_serving_copy`)."""
        with open_serving_copy(self.serving_path) as connection:
            yield connection

    def _connect(self, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
        """Open the file, waiting for whoever has it open without our lock: the dbt of a run that was killed."""
        purpose = "reading" if read_only else "writing"
        deadline = time.monotonic() + _ORPHAN_SECONDS
        is_told = False
        with ExitStack() as telling:
            while True:
                try:
                    connection = duckdb.connect(str(self.path), read_only=read_only, config=_WRITER_CONFIG)
                    break
                except duckdb.Error as error:
                    if _HELD_BY_ANOTHER not in str(error) or time.monotonic() > deadline:
                        raise WarehouseError(f"{self.path}: cannot be opened for {purpose}: {error}") from None
                    if not is_told:
                        what = f"{self.path}: waiting for another program to close it: {' '.join(str(error).split())}"
                        telling.enter_context(waiting(what, limit=_ORPHAN_SECONDS, topic=str(self.path)))
                    is_told = True
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


def _holder(lock_path: Path) -> str:
    """Return who holds a lock: the process where the system lists locks (Linux), else just "another process"."""
    with suppress(OSError):
        inode = str(lock_path.stat().st_ino)
        for line in Path("/proc/locks").read_text(encoding="utf-8").splitlines():
            fields = line.split()
            if fields[1] == "FLOCK" and fields[5].rsplit(":", 1)[-1] == inode:
                name = Path(f"/proc/{fields[4]}/comm").read_text(encoding="utf-8").strip()
                return f"process {fields[4]} ({name})"
    return "another process"


@contextmanager
def open_serving_copy(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a serving copy read-only; nothing it runs can reach other files or the network.

    DuckDB shares one open file within a process: a process sees a new copy once its readers of the old are closed.
    Raises WarehouseError where there is no copy, or it cannot be read.
    """
    if not path.exists():
        raise WarehouseError(f"{path}: there is no serving copy yet; run `onelens-claude backfill` or `make demo`")
    try:
        connection = duckdb.connect(
            str(path),
            read_only=True,
            config={"enable_external_access": "false", "autoload_known_extensions": "false"},
        )
        connection.execute("set TimeZone = 'UTC'")  # days are UTC, `current_date` too
    except duckdb.Error as error:
        raise WarehouseError(f"{path}: cannot be read: {error}") from None
    try:
        yield connection
    finally:
        connection.close()
