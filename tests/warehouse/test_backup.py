"""A backup is whole, of one moment, and enough to go on from; it replaces nothing."""

from __future__ import annotations

import shutil
import threading
from typing import TYPE_CHECKING

import pytest

from onelens_claude.errors import WarehouseError
from onelens_claude.warehouse.backup import back_up
from onelens_claude.warehouse.files import Warehouse
from tests.warehouse.test_damage import damage_a_block, held, hold

if TYPE_CHECKING:
    from pathlib import Path

FIRST, SECOND, THIRD = (("acme", f"2026-11-0{day}", f"2026-11-0{day + 1}") for day in (1, 2, 3))


@pytest.fixture
def files(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "data" / "w.duckdb", tmp_path / "data" / "s.duckdb")


def test_a_backup_has_what_is_written_published_or_not(files: Warehouse, tmp_path: Path) -> None:
    hold(files, *FIRST)
    files.publish()
    hold(files, *SECOND)
    assert back_up(files, tmp_path / "kept.duckdb") == files.path
    assert held(tmp_path / "kept.duckdb") == [FIRST, SECOND]
    assert [path.name for path in tmp_path.glob("kept*")] == ["kept.duckdb"]


def test_while_somebody_writes_a_backup_is_of_what_was_published(files: Warehouse, tmp_path: Path) -> None:
    hold(files, *FIRST)
    files.publish()
    is_writing, may_end = threading.Event(), threading.Event()

    def write() -> None:
        with files.writer() as connection:
            connection.execute("begin; delete from claude_raw.pulls")
            is_writing.set()
            may_end.wait(60)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert is_writing.wait(60)
        assert back_up(files, tmp_path / "kept.duckdb") == files.serving_path
    finally:
        may_end.set()
        writer.join()
    assert held(tmp_path / "kept.duckdb") == [FIRST]


def test_a_restored_backup_goes_on_and_is_published_once_it_holds_what_the_copy_holds(
    files: Warehouse, tmp_path: Path
) -> None:
    hold(files, *FIRST)
    back_up(files, tmp_path / "kept.duckdb")
    hold(files, *SECOND)
    files.publish()
    shutil.copyfile(tmp_path / "kept.duckdb", files.path)
    with pytest.raises(WarehouseError, match="holds days that it lacks: acme 2026-11-02"):
        files.publish()
    hold(files, *THIRD)
    hold(files, *SECOND)
    files.publish()
    assert held(files.serving_path) == [FIRST, THIRD, SECOND]


def test_a_backup_replaces_no_file(files: Warehouse, tmp_path: Path) -> None:
    hold(files, *FIRST)
    (tmp_path / "notes.txt").write_bytes(b"mine")
    for taken in (files.path, tmp_path / "notes.txt"):
        before = taken.read_bytes()
        with pytest.raises(WarehouseError, match="is there already; name a new file"):
            back_up(files, taken)
        assert taken.read_bytes() == before


def test_what_cannot_be_backed_up_leaves_nothing_and_says_why(files: Warehouse, tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="there is nothing to back up yet"):
        back_up(files, tmp_path / "kept.duckdb")
    with files.writer() as connection:
        connection.execute("create table numbers as select hash(range) as n from range(100000)")
    with pytest.raises(WarehouseError, match="No such file or directory"):
        back_up(files, tmp_path / "no" / "kept.duckdb")
    damage_a_block(files.path)
    with pytest.raises(WarehouseError, match=r"the copy of \S+w\.duckdb cannot be read through"):
        back_up(files, tmp_path / "kept.duckdb")
    assert list(tmp_path.glob("kept*")) == []
