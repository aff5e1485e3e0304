"""The two database files: one writer at a time, and a serving copy that is replaced as a whole.

DuckDB lets an open writer block even readers, so people and tools read only the serving copy.

What is here: connections, the writer lock, publishing. What to add here: another way to open or replace a file.
What must not go here: the raw tables (`raw_tables.py`), what is written (`landing`, dbt), anything of Dagster.
"""

from __future__ import annotations

import logging
import os
import shutil
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
from filelock import FileLock, Timeout

from onelens_claude.errors import DamagedCopyError, WarehouseError
from onelens_claude.folders import beside
from onelens_claude.waiting import waiting
from onelens_claude.warehouse.connections import (
    CATALOG,
    attach,
    connect,
    connect_when_free,
    copy_without_holes,
    is_held,
    read_through,
    transaction,
)
from onelens_claude.warehouse.raw_tables import create_raw_tables, is_current, pull_days

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from onelens_claude.settings import Settings

_log = logging.getLogger(__name__)

STORAGE_VERSION = "v1.2.0"
"""Oldest storage format that compresses the payload text; clients from DuckDB 1.2 on can read it."""
WRITER_PROCESS = "ONELENS_WRITER_PROCESS"
"""The variable that names the process under whose lock dbt writes: dbt must not outlive it."""
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
_DISK_FULL = ("No space left on device", "Disk quota exceeded", "File too large")
FILE_ERRORS = (duckdb.OperationalError, duckdb.InternalError, duckdb.FatalException)
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
        return beside(self.path, ".lock")

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
                    connection = stack.enter_context(connect(self.path, read_only=True))
            if connection is None and self.serving_path.exists():
                connection = stack.enter_context(self.reader())
            yield connection

    @contextmanager
    def _writable(self) -> Iterator[duckdb.DuckDBPyConnection]:
        connection = self._connect()
        try:
            create_raw_tables(connection)
            yield connection
        except FILE_ERRORS as error:
            raise self._write_error(error) from None
        finally:
            self._close(connection)

    def upgrade(self) -> None:
        """Bring the raw tables of a working file that an earlier version wrote up to date; the next build publishes."""
        try:
            with FileLock(self.lock_path, blocking=False), connect(self.path, read_only=True) as connection:
                is_old = not is_current(connection)
        except (Timeout, OSError, duckdb.Error):  # there is no file yet, or a writer has it open and has checked
            return
        if is_old:
            _log.info("%s was written by an earlier version; its raw tables are converted.", self.path)
            with self.writer():
                pass

    def publish(self) -> int:
        """Replace the serving copy by the working file as it is now, in one step; return its bytes.

        Before that, the new copy is read through, and it must hold every day that the old one holds; an old one that
        cannot be read is made anew. A reader that holds the old copy keeps it. A crash leaves the old copy.
        """
        with self.writer_lock():
            if not self.path.exists():
                raise WarehouseError(f"{self.path}: there is nothing to publish; run a backfill first")
            self.fold_log()
            new = beside(self.serving_path, ".new")
            try:
                new.parent.mkdir(parents=True, exist_ok=True)
                copy_to_disk(self.path, new)
                self._check_successor(new)
                beside(self.serving_path, ".wal").unlink(missing_ok=True)  # no log of an old copy fits a new one
                self._replace_copy(new)
            except OSError as error:
                raise WarehouseError(
                    f"{self.serving_path}: cannot be replaced: {error.strerror}. {self._advice(error)}"
                ) from None
            finally:
                _remove(new)
        return self.serving_path.stat().st_size

    def publish_appended(self, tables: Mapping[str, str]) -> None:
        """Add to the serving copy the rows of append-only raw tables whose key it has not; the rest stays as it is.

        `tables` is table to the columns of its key.

        So what was seen of the running day is there at once, and no build that failed its checks comes with it. A copy
        of an earlier version is left alone until the next publication.
        """
        with self.writer_lock():
            if not (self.path.exists() and self.serving_path.exists()):
                return
            new = beside(self.serving_path, ".new")
            try:
                copy_to_disk(self.serving_path, new)
                with connect(new, config=_WRITER_CONFIG) as copy:
                    if not is_current(copy):
                        return
                    attach(copy, self.path, "working", "read_only")
                    with transaction(copy):
                        for table, key in tables.items():
                            held = f"{CATALOG}.claude_raw.{table}"
                            copy.execute(
                                f"insert into {held} from working.claude_raw.{table} anti join {held} using ({key})"
                            )
                _flush(new)
                self._replace_copy(new)
            except (OSError, *FILE_ERRORS) as error:
                raise WarehouseError(
                    f"{self.serving_path}: cannot be replaced: {error_words(error)}. {self._advice(error)}"
                ) from None
            finally:
                _remove(new)
                _remove(Path(f"{new}.wal"))

    def _replace_copy(self, new: Path) -> None:
        if self.serving_path.exists():
            shutil.copymode(self.serving_path, new)  # who else may read it was decided once
        new.replace(self.serving_path)

    def fold_log(self) -> None:
        """Write what a crash left in the write-ahead log into the file."""
        connection = self._connect()
        try:
            connection.execute("checkpoint")
        except FILE_ERRORS as error:
            raise self._write_error(error) from None
        finally:
            self._close(connection)

    def _check_successor(self, new: Path) -> None:
        """Raise WarehouseError unless `new` is whole and holds every day of the serving copy."""
        try:
            with connect(new, read_only=True) as connection:
                read_through(connection)
                lost = self._days_lost(connection) if self.serving_path.exists() else ""
        except duckdb.Error as error:
            raise WarehouseError(
                f"{self.path}: is not published, because it cannot be read through: {error_words(error)}. "
                f"{self._advice(error)}"
            ) from None
        if lost:
            raise WarehouseError(
                f"{self.path}: is not published, because {self.serving_path} holds days that it lacks: {lost}. Move "
                f"{self.path} away and run the same command again, to go on from the copy; or move the copy away, to "
                "replace it by less"
            )

    def _days_lost(self, connection: duckdb.DuckDBPyConnection) -> str:
        """Return in words which days the serving copy holds and `connection` lacks, but for those deleted for age."""
        try:
            attach(connection, self.serving_path, "published", "read_only")
            lost = connection.execute(
                f"""select organization_id, min(activity_date), max(activity_date), count(distinct activity_date)
                from ({pull_days("published.claude_raw.pulls")})
                anti join ({pull_days(f"{CATALOG}.claude_raw.pulls")})
                    using (organization_id, endpoint, activity_date)
                where activity_date >= coalesce(
                    (select max(deleted_before) from {CATALOG}.claude_raw.deletions), date '0001-01-01'
                )
                    and organization_id not in (
                        select organization_id from {CATALOG}.claude_raw.erasures where kind = 'organization'
                    )
                group by organization_id
                order by organization_id"""
            ).fetchall()
        except duckdb.CatalogException:
            raise WarehouseError(
                f"{self.serving_path}: is a database of something else and is not replaced; name another file as "
                "warehouse.serving_path, or move this one away"
            ) from None
        except duckdb.Error as error:
            _log.warning("%s: cannot be read and is made anew: %s", self.serving_path, error_words(error))
            return ""
        return "; ".join(
            f"{organization} {first} to {last} ({days} {'day' if days == 1 else 'days'})"
            for organization, first, last, days in lost
        )

    def compact(self) -> None:
        """Copy everything into a new file that takes the place of the working file."""
        new = beside(self.path, ".compact")
        with self.writer_lock():
            connection = self._connect()
            try:
                copy_without_holes(connection, new, f"storage_version '{STORAGE_VERSION}'")
                self._close(connection)
                _flush(new)
                new.replace(self.path)
            except (OSError, *FILE_ERRORS) as error:
                raise self._write_error(error) from None
            finally:
                connection.close()
                _remove(new)
                _remove(beside(self.path, ".compact.wal"))

    @contextmanager
    def reader(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the serving copy read-only (`open_serving_copy`)."""
        with open_serving_copy(self.serving_path) as connection:
            yield connection

    def _connect(self, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
        """Open the file, waiting for whoever has it open without our lock: the dbt of a run that was killed."""
        purpose = "reading" if read_only else "writing"
        if not read_only:
            for leftover in self._leftovers:
                _remove(leftover)
            self._restore()
        try:
            connection = connect_when_free(
                self.path, seconds=_ORPHAN_SECONDS, read_only=read_only, config=_WRITER_CONFIG
            )
        except duckdb.Error as error:
            raise WarehouseError(
                f"{self.path}: cannot be opened for {purpose}: {error_words(error)}. {self._advice(error)}"
            ) from None
        if not read_only:  # nobody else has it open: what is in its folder for spilling, a killed process left
            shutil.rmtree(beside(self.path, ".tmp"), ignore_errors=True)
        return connection

    @property
    def _leftovers(self) -> tuple[Path, ...]:
        """Files that only the holder of the lock writes: what is there when it begins, a killed process left."""
        return (
            beside(self.serving_path, ".new"),
            beside(self.path, ".new"),
            beside(self.path, ".compact"),
            beside(self.path, ".compact.wal"),
        )

    def _restore(self) -> None:
        """Make a working file that is gone anew from the serving copy, which is a copy of all of it."""
        if self.path.exists() or not self.serving_path.exists():
            return
        new = beside(self.path, ".new")
        try:
            copy_to_disk(self.serving_path, new)
            with connect(new, read_only=True) as connection:
                read_through(connection)
                connection.execute("from claude_raw.pulls limit 0")
            beside(self.path, ".wal").unlink(missing_ok=True)
            new.replace(self.path)
        except (OSError, duckdb.Error) as error:
            raise WarehouseError(
                f"{self.path}: is not there, and cannot be made anew from {self.serving_path}: {error_words(error)}. "
                "Put one of the two back from a backup, or move the copy away to begin with nothing"
            ) from None
        finally:
            _remove(new)
        _log.warning(
            "%s was not there; it is made anew from %s. What was pulled since that was published is pulled again.",
            self.path,
            self.serving_path,
        )

    def _close(self, connection: duckdb.DuckDBPyConnection) -> None:
        try:
            connection.close()
        except FILE_ERRORS as error:  # closing folds the write-ahead log into the file
            raise self._write_error(error) from None

    def _write_error(self, error: Exception) -> WarehouseError:
        return WarehouseError(f"{self.path}: cannot be written: {error_words(error)}. {self._advice(error)}")

    def _advice(self, error: Exception) -> str:
        """Return what to do about what DuckDB or the system said of a file."""
        text = str(error)
        if is_held(error):
            return "Close the program that has it open, then run the same command again"
        if any(sign in text for sign in _DISK_FULL):
            return "Make room on the disk, then run the same command again; what is loaded stays"
        if isinstance(error, OSError) or not self.serving_path.exists():
            return "Fix that, then run the same command again"
        return (
            f"If it is damaged, move it away and run the same command again: it is then made anew from "
            f"{self.serving_path}"
        )

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


def copy_to_disk(source: Path, target: Path) -> None:
    """Copy a file, and wait until it is on the disk."""
    shutil.copyfile(source, target)
    _flush(target)


def _flush(path: Path) -> None:
    """Wait until a file is on the disk, so that its new name never comes before its content."""
    with path.open("rb") as written:
        os.fsync(written.fileno())


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def error_words(error: Exception) -> str:
    """Return what an error says, on one line."""
    return getattr(error, "strerror", None) or " ".join(str(error).split()).rstrip(".")


@contextmanager
def open_serving_copy(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a serving copy read-only; nothing it runs can reach other files or the network.

    DuckDB shares one open file within a process: a process sees a new copy once its readers of the old are closed.
    Raises WarehouseError where there is no copy, or it cannot be read.
    """
    if not path.exists():
        raise WarehouseError(f"{path}: there is no serving copy yet; run `onelens-claude backfill` or `make demo`")
    try:
        connection = connect(path, read_only=True, config={"autoload_known_extensions": "false"})
        connection.execute("set enable_external_access = false")
    except duckdb.Error as error:
        raise _damaged(path, error) from None
    try:
        yield connection
    except FILE_ERRORS as error:  # a block is looked at when it is read
        raise _damaged(path, error) from None
    finally:
        connection.close()


def _damaged(path: Path, error: duckdb.Error) -> DamagedCopyError:
    return DamagedCopyError(f"{path}: cannot be read: {error_words(error)}. `onelens-claude daily` makes it anew")
