"""Files that are damaged, gone, or hold less: nothing good is replaced by it, and the next run mends what can be."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import duckdb
import pytest

from onelens_claude.errors import DamagedCopyError, WarehouseError
from onelens_claude.warehouse.files import Warehouse

if TYPE_CHECKING:
    from pathlib import Path

_HEADERS, _BLOCK = 3 * 4096, 262_144


@pytest.fixture
def files(tmp_path: Path) -> Warehouse:
    """Return files that hold three days and some blocks of numbers, published."""
    files = Warehouse(tmp_path / "w.duckdb", tmp_path / "s.duckdb")
    hold(files, "acme", "2026-11-01", "2026-11-04")
    with files.writer() as connection:
        connection.execute("create table numbers as select hash(range) as n from range(100000)")
    files.publish()
    return files


def hold(files: Warehouse, organization: str, first: str, end: str) -> None:
    """Leave a complete pull in the ledger; `end` is exclusive."""
    with files.writer() as connection:
        connection.execute(
            """insert into claude_raw.pulls (pull_sequence, pull_id, organization_id, endpoint, window_start,
                window_end, status, fetched_at, page_count, row_count, byte_count)
            select coalesce(max(pull_sequence), 0) + 1, uuid()::varchar, $organization, 'users', $first, $end,
                'complete', '2026-11-20', 1, 1, 1
            from claude_raw.pulls""",
            {"organization": organization, "first": first, "end": end},
        )


def held(path: Path) -> list[tuple[str, str, str]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(
            """select organization_id, window_start::varchar, window_end::varchar
            from claude_raw.pulls order by pull_sequence"""
        ).fetchall()


def damage_a_block(path: Path) -> None:
    """Change one byte in a block of the numbers."""
    with duckdb.connect(str(path), read_only=True) as connection:
        (block,) = connection.execute(
            "select max(block_id) from pragma_storage_info('numbers') where block_id >= 0"
        ).fetchone() or (0,)
    with path.open("r+b") as file:
        file.seek(_HEADERS + block * _BLOCK + 1000)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 0xFF]))


def leave_garbage(path: Path) -> None:
    path.write_bytes(b"no database at all " * 10_000)


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:_HEADERS])


def beside(files: Warehouse) -> set[str]:
    """Return the names of all files there but the locks."""
    return {path.name for path in files.path.parent.iterdir()} - {files.lock_path.name, "other.duckdb.lock"}


def test_a_working_file_that_is_gone_is_made_anew_from_the_serving_copy_and_says_so(files, caplog):
    files.path.unlink()
    hold(files, "acme", "2026-11-04", "2026-11-05")
    assert f"{files.path} was not there; it is made anew from {files.serving_path}." in caplog.text
    files.publish()
    assert held(files.serving_path) == [("acme", "2026-11-01", "2026-11-04"), ("acme", "2026-11-04", "2026-11-05")]


def test_nothing_begins_anew_while_the_copy_of_a_working_file_that_is_gone_cannot_be_read(files):
    files.path.unlink()
    leave_garbage(files.serving_path)
    garbage = files.serving_path.read_bytes()
    with pytest.raises(WarehouseError, match=r"w\.duckdb: is not there, and cannot be made anew from .*s\.duckdb: "):
        hold(files, "acme", "2026-11-04", "2026-11-05")
    assert beside(files) == {"s.duckdb"}
    assert files.serving_path.read_bytes() == garbage
    files.serving_path.unlink()  # as the message says
    hold(files, "acme", "2026-11-04", "2026-11-05")


def test_a_working_file_that_holds_fewer_days_is_not_published_and_the_message_names_the_days(files, tmp_path):
    published = files.serving_path.read_bytes()
    other = Warehouse(tmp_path / "other.duckdb", tmp_path / "none.duckdb")
    hold(other, "acme", "2026-11-02", "2026-11-10")
    files.path.unlink()
    shutil.move(other.path, files.path)
    with pytest.raises(
        WarehouseError,
        match=rf"{files.path}: is not published, because {files.serving_path} holds days that it lacks: "
        r"acme 2026-11-01 to 2026-11-01 \(1 day\)\. Move ",
    ):
        files.publish()
    assert files.serving_path.read_bytes() == published
    assert beside(files) == {"w.duckdb", "s.duckdb"}
    files.serving_path.unlink()  # as the message says
    files.publish()
    assert held(files.serving_path) == [("acme", "2026-11-02", "2026-11-10")]


def test_fewer_pulls_of_the_same_days_are_published(files):
    hold(files, "acme", "2026-11-01", "2026-11-04")
    files.publish()
    with files.writer() as connection:
        connection.execute("delete from claude_raw.pulls where pull_sequence = 1")
    files.publish()
    assert held(files.serving_path) == [("acme", "2026-11-01", "2026-11-04")]


def test_a_working_file_with_a_damaged_block_is_not_published_and_the_way_out_works(files):
    published = files.serving_path.read_bytes()
    damage_a_block(files.path)
    with pytest.raises(WarehouseError, match=r"w\.duckdb: is not published.*[Cc]hecksum.*move it away and run") as told:
        files.publish()
    assert str(files.serving_path) in str(told.value)
    assert files.serving_path.read_bytes() == published
    assert beside(files) == {"w.duckdb", "s.duckdb"}
    files.path.rename(files.path.with_suffix(".damaged"))  # as the message says
    hold(files, "acme", "2026-11-04", "2026-11-05")
    files.publish()
    assert held(files.serving_path)[-1] == ("acme", "2026-11-04", "2026-11-05")


@pytest.mark.parametrize("harm", [leave_garbage, cut_off, damage_a_block])
def test_a_damaged_copy_is_made_anew(files, harm):
    harm(files.serving_path)
    files.publish()
    with files.reader() as connection:
        assert connection.execute("select count(distinct n) from numbers").fetchone() == (100_000,)


def test_a_damaged_copy_says_who_makes_it_anew(files, caplog):
    leave_garbage(files.serving_path)
    with pytest.raises(DamagedCopyError, match=r"s\.duckdb: cannot be read: .*`onelens-claude daily` makes it anew"):
        files.reader().__enter__()
    files.publish()
    assert f"{files.serving_path}: cannot be read and is made anew: " in caplog.text


def test_a_database_of_something_else_in_the_copys_place_is_not_replaced(files):
    files.serving_path.unlink()
    with duckdb.connect(str(files.serving_path)) as connection:
        connection.execute("create table theirs as select 1 as n")
    with pytest.raises(WarehouseError, match=r"s\.duckdb: is a database of something else and is not replaced"):
        files.publish()
    with duckdb.connect(str(files.serving_path)) as connection:
        assert connection.execute("from theirs").fetchall() == [(1,)]


FULL_DISK = """
import resource, sys
from pathlib import Path
from onelens_claude.errors import WarehouseError
from onelens_claude.warehouse.files import Warehouse
files = Warehouse(Path(sys.argv[1]), Path(sys.argv[2]))
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
for use in (files.publish, files.compact):
    try:
        use()
    except WarehouseError as error:
        print(error)
"""


def test_a_full_disk_leaves_no_half_file_and_both_files_as_they_were(files):
    before = files.path.read_bytes(), files.serving_path.read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(files.path), str(files.serving_path)], capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.stdout.count("Make room on the disk, then run the same command again") == 2, done.stdout + done.stderr
    assert beside(files) == {"w.duckdb", "s.duckdb"}
    assert (files.path.read_bytes(), files.serving_path.read_bytes()) == before
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_what_a_killed_process_left_half_written_goes_with_the_next_write(files):
    for name in ("w.duckdb.compact", "w.duckdb.compact.wal", "w.duckdb.new", "s.duckdb.new"):
        (files.path.parent / name).write_bytes(b"half")
    (files.path.parent / "w.duckdb.tmp").mkdir()
    (files.path.parent / "w.duckdb.tmp" / "duckdb_temp_storage_DEFAULT-0.tmp").write_bytes(b"spilled")
    hold(files, "acme", "2026-11-04", "2026-11-05")
    assert beside(files) == {"w.duckdb", "s.duckdb"}
