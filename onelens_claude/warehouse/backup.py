"""A copy of the warehouse for safe keeping, taken while runs go on.

What is here: which file is copied, and that the copy is whole. What to add here: another thing to keep beside it.
What must not go here: restoring. The copy takes the place of the working file, and the next `daily` goes on from there.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import duckdb
from filelock import FileLock, Timeout

from onelens_claude.errors import WarehouseError
from onelens_claude.warehouse.connections import connect, read_through
from onelens_claude.warehouse.files import copy_to_disk, error_words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from onelens_claude.warehouse.files import Warehouse


def back_up(warehouse: Warehouse, target: Path) -> Path:
    """Write a consistent copy to a file that is not there yet; return which of the two database files it is of.

    The working file, or, while a run writes to it, the serving copy, which is never half of anything: what the run adds
    is then not in it. The copy is read through before it gets its name. Raises WarehouseError.
    """
    if os.path.lexists(target):
        raise WarehouseError(f"{target}: is there already; name a new file, so that no backup replaces another")
    new = target.with_name(f"{target.name}.new")
    try:
        with _source(warehouse) as source:
            copy_to_disk(source, new)
        with connect(new, read_only=True) as connection:
            read_through(connection)
        new.rename(target)
    except OSError as error:
        raise WarehouseError(f"{target}: cannot be written: {error_words(error)}") from None
    except duckdb.Error as error:
        raise WarehouseError(
            f"{target}: is not written, because the copy of {source} cannot be read through: {error_words(error)}"
        ) from None
    finally:
        new.unlink(missing_ok=True)
    return source


@contextmanager
def _source(warehouse: Warehouse) -> Iterator[Path]:
    """Keep writers off the working file, where none is at it; else give the serving copy."""
    if warehouse.path.exists():
        lock = FileLock(warehouse.lock_path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            pass
        else:
            try:
                warehouse.fold_log()
                yield warehouse.path
            finally:
                lock.release()
            return
    if not warehouse.serving_path.exists():
        raise WarehouseError(
            f"{warehouse.serving_path}: there is nothing to back up yet; run `onelens-claude backfill` first"
        )
    yield warehouse.serving_path
