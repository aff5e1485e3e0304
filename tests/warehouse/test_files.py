"""One writer, a serving copy that is replaced as a whole, a reader that can do nothing but read."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import pytest

from onelens_claude.api import row_types
from onelens_claude.api.endpoints import ENDPOINTS
from onelens_claude.errors import WarehouseError
from onelens_claude.folders import private_files
from onelens_claude.warehouse import files as warehouse
from onelens_claude.warehouse import raw_tables
from onelens_claude.warehouse.files import STORAGE_VERSION, Warehouse
from onelens_claude.warehouse.raw_tables import create_raw_tables, row_columns


@pytest.fixture
def files(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "data" / "w.duckdb", tmp_path / "serving" / "s.duckdb")


def put(files: Warehouse, value: int) -> None:
    with files.writer() as connection:
        connection.execute("create table if not exists numbers (n integer)")
        connection.execute("insert into numbers values (?)", [value])


def numbers(connection: duckdb.DuckDBPyConnection) -> list[int]:
    return [row[0] for row in connection.execute("from numbers order by n").fetchall()]


# the raw tables


def test_a_new_file_has_every_raw_table_and_compresses_its_payload(files):
    with files.writer() as connection:
        tables = {
            row[0]
            for row in connection.execute(
                "select table_name from duckdb_tables() where schema_name = 'claude_raw'"
            ).fetchall()
        }
        version = connection.execute(
            "select tags['storage_version'] from duckdb_databases() where database_name = 'onelens'"
        ).fetchone()
        views = {
            row[0]
            for row in connection.execute(
                "select view_name from duckdb_views() where schema_name = 'claude_raw'"
            ).fetchall()
        }
    ledger = {
        "pulls",
        "organizations",
        "budgets",
        "anomaly_settings",
        "holidays",
        "team_map",
        "schema_drift",
        "deletions",
        "erasures",
        "alert_log",
        "pages",
        "page_parts",
        *raw_tables.WATCH_TABLES,
    }
    assert ledger | {f"{name}_rows" for name in ENDPOINTS} == tables
    assert {*ENDPOINTS} == views
    assert STORAGE_VERSION.removesuffix(".0") in version[0]


def test_tables_that_are_there_cost_one_query(files, monkeypatch):
    with files.writer():
        pass
    monkeypatch.setattr(raw_tables, "_create_rows_table", lambda *_: pytest.fail("made again"))
    with files.writer():
        pass


def test_an_older_files_tables_get_the_columns_and_nested_fields_of_a_newer_version(files, monkeypatch):
    endpoint = ENDPOINTS["user_usage_report"]
    older_columns = dict(endpoint.columns)
    del older_columns["total_tokens"]
    older_columns["cache_creation"] = row_types.counts("ephemeral_5m_input_tokens")
    table = "claude_raw.user_usage_report_rows"
    with monkeypatch.context() as older_version:
        older_version.setattr(raw_tables, "ENDPOINTS", {"user_usage_report": replace(endpoint, columns=older_columns)})
        raw_tables._layout.cache_clear()
        with files.writer() as connection:
            connection.execute(
                f"insert into {table} (pull_id, actor_user_id, cache_creation) "
                "values ('old', 'u', {'ephemeral_5m_input_tokens': 5})"
            )
    raw_tables._layout.cache_clear()
    with files.writer() as connection:
        found = dict(
            connection.execute(
                "select column_name, data_type from duckdb_columns() where table_name = 'user_usage_report_rows'"
            ).fetchall()
        )
        assert {*found} == {*row_columns(endpoint)}
        assert connection.execute(
            f"select actor_user_id, cache_creation.ephemeral_5m_input_tokens, cache_creation.ephemeral_1h_input_tokens, total_tokens from {table}"
        ).fetchall() == [("u", 5, None, None)]
        # what the newer version appends lands in the right fields, whatever their order in the table
        new = row_types.struct(ephemeral_1h_input_tokens="BIGINT", ephemeral_5m_input_tokens="BIGINT")
        connection.execute(
            f"insert into {table} (pull_id, cache_creation) select 'new', {{'ephemeral_1h_input_tokens': 60, 'ephemeral_5m_input_tokens': 5}}::{new}"
        )
        assert connection.execute(
            f"select cache_creation.ephemeral_1h_input_tokens from {table} where pull_id = 'new'"
        ).fetchall() == [(60,)]


def test_an_older_ledger_gets_the_latest_available_day_that_its_messages_name(files):
    messages = {
        "named": ("not_yet_available", "Data for 2026-11-20 is not there. The latest available date is 2026-11-17."),
        "of several": ("not_yet_available", "2026-11-15, 2026-11-17 and 2026-11-20; no date: 2026-99-99"),
        "unnamed": ("not_yet_available", "Data for 2026-11-20 is not available yet."),
        "of another kind": ("api_error", "broken since 2026-11-17"),
    }
    with files.writer() as connection:
        connection.executemany(
            """insert into claude_raw.pulls (pull_sequence, pull_id, organization_id, endpoint, window_start,
                window_end, status, fetched_at, page_count, row_count, byte_count, error_type, error_message)
            values (1, ?, 'acme', 'users', '2026-11-20', '2026-11-21', 'failed', '2026-11-21', 0, 0, 0, ?, ?)""",
            [(name, *failure) for name, failure in messages.items()],
        )
        connection.execute("alter table claude_raw.pulls drop column latest_available_day")
        connection.execute("create or replace macro claude_raw.layout() as 'of an earlier version'")
    files.upgrade()
    with duckdb.connect(str(files.path), read_only=True) as connection:
        assert connection.execute("describe claude_raw.pulls").fetchall()[-1][:2] == ("latest_available_day", "DATE")
        found = dict(connection.execute("select pull_id, latest_available_day from claude_raw.pulls").fetchall())
    named = date(2026, 11, 17)
    assert found == {"named": named, "of several": named, "unnamed": None, "of another kind": None}


def test_making_the_tables_is_all_or_nothing(monkeypatch):
    with duckdb.connect() as connection:
        with monkeypatch.context() as failing:
            failing.setattr(raw_tables, "_PAGES_DDL", "create nonsense")
            raw_tables._layout.cache_clear()
            with pytest.raises(duckdb.Error):
                create_raw_tables(connection)
        raw_tables._layout.cache_clear()
        assert connection.execute("select count(*) from duckdb_tables()").fetchone() == (0,)
        create_raw_tables(connection)


# writing


def test_writers_wait_for_each_other(files):
    threads = [threading.Thread(target=put, args=(files, n)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with files.writer() as connection:
        assert numbers(connection) == list(range(8))


def test_an_exception_inside_frees_the_file_and_passes(files):
    with pytest.raises(KeyError), files.writer():
        raise KeyError
    put(files, 1)


def test_who_waits_for_another_writer_says_for_whom_and_how_long_at_most(files, caplog, monkeypatch):
    monkeypatch.setattr(warehouse, "_TOLD_AFTER", 0.2)
    put(files, 1)
    with files.writer():
        thread = threading.Thread(target=put, args=(files, 2))
        thread.start()
        deadline = time.monotonic() + 10
        while not caplog.messages and time.monotonic() < deadline:
            time.sleep(0.05)
    thread.join()
    name = Path(f"/proc/{os.getpid()}/comm").read_text().strip()
    assert caplog.messages[0].startswith(
        f"{files.path}: waiting for process {os.getpid()} ({name}) to finish writing ("
    )
    assert caplog.messages[0].endswith(" so far, 4 h at most)")


def test_nobody_waits_for_another_writer_without_end(files, monkeypatch):
    monkeypatch.setattr(warehouse, "_LONGEST_LOCK_WAIT", 0.2)
    put(files, 1)
    refused = []

    def write() -> None:
        with pytest.raises(WarehouseError, match=r"has been writing for .* hours; end it if it hangs") as caught:
            put(files, 2)
        refused.append(caught.value)

    with files.writer():
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    assert str(os.getpid()) in str(refused[0])
    put(files, 3)  # the lock is free again


@pytest.mark.parametrize("use", ["writer", "publish"])
def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path, use):
    (tmp_path / "file").write_text("")
    files = Warehouse(tmp_path / "file" / "w.duckdb", tmp_path / "s.duckdb")
    with pytest.raises(WarehouseError, match=f"{tmp_path}/file: cannot be created: "):
        files.publish() if use == "publish" else files.writer().__enter__()


def test_a_folder_that_may_not_be_written_is_one_clear_error(files, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # the tests may run as root, who may write everywhere
    with pytest.raises(WarehouseError, match=f"{files.path.parent}: is not writable"), files.writer():
        pass


def test_a_folder_in_the_files_place_is_one_clear_error(files):
    files.path.mkdir(parents=True)
    with pytest.raises(WarehouseError, match=f"{files.path}: cannot be opened for writing: "), files.writer():
        pass


def test_a_file_that_is_no_database_is_one_clear_error(files):
    files.path.parent.mkdir()
    files.path.write_text("not a database, but long enough to look like one\n" * 1000)
    with pytest.raises(WarehouseError, match=f"{files.path}: cannot be opened for writing: "), files.writer():
        pass


HOLDER = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"


def test_a_foreign_program_that_holds_the_file_is_named(files, monkeypatch):
    monkeypatch.setattr(warehouse, "_ORPHAN_SECONDS", 0.5)
    put(files, 1)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(files.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        holder.stdout.readline()
        with (
            pytest.raises(WarehouseError, match=rf"{files.path}: cannot be opened for writing: .*lock"),
            files.writer(),
        ):
            pass
        holder.communicate("")


def test_a_writer_waits_for_the_dbt_that_a_killed_run_left_behind(files):
    put(files, 1)
    hold = "import duckdb, sys, time; c = duckdb.connect(sys.argv[1]); print('open', flush=True); time.sleep(1.5)"
    with subprocess.Popen([sys.executable, "-c", hold, str(files.path)], stdout=subprocess.PIPE, text=True) as orphan:
        assert orphan.stdout
        orphan.stdout.readline()
        with files.writer() as connection:
            assert numbers(connection) == [1]


FULL_DISK = """
import resource, sys
from pathlib import Path
from onelens_claude.errors import WarehouseError
from onelens_claude.warehouse.files import Warehouse
files = Warehouse(Path(sys.argv[1]), Path(sys.argv[2]))
with files.writer() as connection:
    connection.execute("create table numbers as select 1 as n")
resource.setrlimit(resource.RLIMIT_FSIZE, (files.path.stat().st_size + 100_000,) * 2)
try:
    if sys.argv[3] == "publish":
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        files.publish()
    with files.writer() as connection:
        connection.execute("insert into numbers select hash(range) % 1000000000 from range(10000000)")
except WarehouseError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("use", "words"), [("write", "w.duckdb: cannot be written: "), ("publish", "s.duckdb: cannot be replaced: ")]
)
def test_a_full_disk_is_one_clear_error_and_what_was_there_stays(files, use, words):
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(files.path), str(files.serving_path), use], capture_output=True, text=True, check=False
    )  # fmt: skip
    assert words in done.stdout, done.stderr
    assert done.stderr == ""
    assert not files.serving_path.exists()
    with files.writer() as connection:
        assert numbers(connection) == [1]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


# reading the working file


def test_the_working_reader_sees_what_is_not_published_and_cannot_write(files):
    put(files, 1)
    with files.working_reader() as connection:
        assert numbers(connection) == [1]
        with pytest.raises(duckdb.InvalidInputException, match="read-only"):
            connection.execute("insert into numbers values (2)")
    put(files, 2)  # the file is free again


def test_the_working_reader_makes_a_file_that_is_missing_or_of_an_earlier_version(files):
    with files.working_reader() as connection:
        assert connection.execute("select count(*) from claude_raw.pulls").fetchone() == (0,)
    with files.writer() as connection:
        connection.execute("drop table claude_raw.schema_drift")
        connection.execute("drop macro claude_raw.layout")
    with files.working_reader() as connection:
        assert connection.execute("select count(*) from claude_raw.schema_drift").fetchone() == (0,)


# the serving copy


def test_publishing_nothing_says_what_to_do(files):
    with pytest.raises(WarehouseError, match="there is nothing to publish; run a backfill first"):
        files.publish()
    with pytest.raises(WarehouseError, match="there is no serving copy yet"), files.reader():
        pass


READ = "import duckdb, sys; print(*[n for (n,) in duckdb.connect(sys.argv[1], read_only=True).sql('from numbers order by n').fetchall()])"


def test_a_reader_of_the_old_copy_is_not_disturbed_by_publishing(files):
    put(files, 1)
    assert files.publish() == files.serving_path.stat().st_size
    with files.reader() as old:
        put(files, 2)
        files.publish()
        assert numbers(old) == [1]
        other_process = subprocess.run(
            [sys.executable, "-c", READ, str(files.serving_path)], capture_output=True, text=True, check=True
        )
        assert other_process.stdout.split() == ["1", "2"]
        assert numbers(old) == [1]
    with files.reader() as new:
        assert numbers(new) == [1, 2]


def test_a_new_copy_may_be_read_by_whoever_may_read_the_old_one(files):
    with private_files():
        with files.writer():
            pass
        files.publish()
        assert files.serving_path.stat().st_mode & 0o777 == 0o600
        files.serving_path.chmod(0o640)
        for replace_copy in (files.publish, lambda: files.publish_appended({})):
            before = files.serving_path.stat().st_ino
            replace_copy()
            after = files.serving_path.stat()
            assert (after.st_mode & 0o777, after.st_ino != before) == (0o640, True)
    assert files.path.stat().st_mode & 0o777 == 0o600


def test_readers_never_fail_while_copies_are_published(files):
    put(files, 0)
    files.publish()
    stop, seen, failed = threading.Event(), [], []

    def read() -> None:
        while not stop.is_set():
            try:
                with files.reader() as connection:
                    seen.append(len(numbers(connection)))
            except WarehouseError as error:
                failed.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    for n in range(1, 6):
        put(files, n)
        files.publish()
    stop.set()
    thread.join()
    assert failed == []
    assert seen == sorted(seen)


CRASH = """
import os, signal, sys
from pathlib import Path
from onelens_claude.warehouse.files import Warehouse
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
Path.replace = die
Warehouse(Path(sys.argv[1]), Path(sys.argv[2])).publish()
"""


def test_a_crash_between_copy_and_rename_leaves_the_old_copy(files):
    put(files, 1)
    files.publish()
    put(files, 2)
    done = subprocess.run([sys.executable, "-c", CRASH, str(files.path), str(files.serving_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    with files.reader() as connection:
        assert numbers(connection) == [1]
    assert len(list(files.serving_path.parent.iterdir())) == 2
    files.publish()
    with files.reader() as connection:
        assert numbers(connection) == [1, 2]
    assert list(files.serving_path.parent.iterdir()) == [files.serving_path]


CRASHED_WRITER = """
import os, signal, sys
from pathlib import Path
from onelens_claude.warehouse.files import Warehouse
with Warehouse(Path(sys.argv[1]), Path(sys.argv[2])).writer() as connection:
    connection.execute("insert into numbers values (2)")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_writer_had_committed_is_published(files):
    put(files, 1)
    subprocess.run([sys.executable, "-c", CRASHED_WRITER, str(files.path), str(files.serving_path)], check=False)
    assert files.path.with_name("w.duckdb.wal").exists()
    with files.working_reader() as connection:
        assert numbers(connection) == [1, 2]
    files.publish()
    with files.reader() as connection:
        assert numbers(connection) == [1, 2]


def test_a_serving_path_that_cannot_be_written_is_one_clear_error(files, tmp_path):
    put(files, 1)
    (tmp_path / "serving").write_text("a file in the folder's place")
    with pytest.raises(WarehouseError, match=r"s\.duckdb: cannot be replaced: "):
        files.publish()


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_csv('/etc/passwd')",
        "select * from read_text('/etc/passwd')",
        "select * from glob('/etc/*')",
        "copy (select 1) to '/tmp/onelens_must_not_exist.csv'",
        "copy numbers from '/etc/passwd'",
        "export database '/tmp/onelens_must_not_exist'",
        "attach '/tmp/onelens_must_not_exist.duckdb' as other",
        "install httpfs",
        "load httpfs",
        "select * from 'https://example.com/x.csv'",
        "set enable_external_access = true",
        "insert into numbers values (2)",
        "delete from numbers",
        "create table t (a integer)",
        "drop table numbers",
        "select getenv('HOME')",
    ],
)
def test_the_reader_can_neither_write_nor_reach_other_files(files, sql):
    put(files, 1)
    files.publish()
    with files.reader() as connection:
        with pytest.raises(duckdb.Error):
            connection.execute(sql).fetchall()
        assert numbers(connection) == [1]
    assert not list(Path("/tmp").glob("onelens_must_not_exist*"))
