"""What other files say of erased people: Dagster's log, dbt's, the page, refused answers, alerts.

Only what belongs to this installation is looked at, and only texts that name them are changed.

What is here: finding texts in files, and writing the files without them. What to add here: another place that quotes
people. What must not go here: the working file (`erasure.py`).
"""

from __future__ import annotations

import json
import mmap
import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from onelens_claude.errors import WarehouseError
from onelens_claude.landing.fetching import spool_session
from onelens_claude.privacy.forgotten import ERASED_TEXT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

_SQLITE_SECONDS = 60.0
_SQLITE = b"SQLite format 3\0"
_OURS = ("dbt", "site")
"""Folders beside the warehouse whose files quote what was loaded."""


class Texts:
    """Ids, addresses and names that no file may have any longer, and what is written instead."""

    def __init__(self, texts: Collection[str], instead: str = ERASED_TEXT) -> None:
        self._instead = instead
        spelled = {form for one in texts for form in (one, json.dumps(one)[1:-1], json.dumps(json.dumps(one))[3:-3])}
        # Longest first: an id may be the beginning of another. A letter after a backslash belongs to no word.
        words = "|".join(re.escape(one) for one in sorted(spelled, key=len, reverse=True)) or r"(?!)"
        pattern = rf"(?:(?<![\w.+-])|(?<=\\[nrt]))(?:{words})(?![\w-])"
        self._text = re.compile(pattern, re.IGNORECASE)
        self._bytes = re.compile(pattern.encode(), re.IGNORECASE)

    def redacted(self, text: str) -> str:
        """Return a text without them."""
        return self._text.sub(self._instead, text)

    def are_in(self, content: bytes | mmap.mmap) -> bool:
        """Tell whether any of them is there."""
        return self._bytes.search(content) is not None

    def are_in_file(self, path: Path) -> bool:
        """Tell whether any of them is in a file; a file that is gone has none."""
        try:
            with path.open("rb") as file:
                if path.stat().st_size == 0:
                    return False
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                    return self.are_in(content)
        except OSError:
            return False

    def redacted_bytes(self, content: bytes) -> bytes:
        """Return a file's content without them."""
        return self._bytes.sub(self._instead.encode(), content)


def files_that_quote(warehouse_path: Path, home: Path) -> Iterator[Path]:
    """Yield the files of this installation that are no warehouse and may quote answers or results."""
    for folder in (*(warehouse_path.parent / name for name in _OURS), home):
        if folder.is_dir():
            yield from (one for one in sorted(folder.rglob("*")) if one.is_file() and not one.is_symlink())


def redact_files(paths: Iterable[Path], texts: Texts) -> int:
    """Write each file that has one of the texts without them; return how many had."""
    changed = 0
    for path in paths:
        if not texts.are_in_file(path):
            continue
        changed += 1
        with path.open("rb") as file:
            is_sqlite = file.read(len(_SQLITE)) == _SQLITE
        if is_sqlite:
            _redact_sqlite(path, texts)
        elif not path.name.endswith(("-wal", "-shm", "-journal")):  # written by SQLite, with its database
            new = path.with_name(f"{path.name}.redacted")
            try:
                new.write_bytes(texts.redacted_bytes(path.read_bytes()))
                new.chmod(path.stat().st_mode)
                new.replace(path)
            except OSError as error:
                raise WarehouseError(
                    f"{path}: names somebody who is to be erased, and cannot be written: {error.strerror}; make it "
                    "writable, then run the same command again"
                ) from None
    return changed


def _redact_sqlite(path: Path, texts: Texts) -> None:
    """Take the texts out of every column; the space they had is given back, and the log that had them emptied."""
    try:
        with closing(sqlite3.connect(path, timeout=_SQLITE_SECONDS, isolation_level=None)) as connection:
            connection.create_function("redacted", 1, texts.redacted, deterministic=True)
            tables = connection.execute("select name from sqlite_master where type = 'table'").fetchall()
            connection.execute("begin immediate")
            for (table,) in tables:
                for _, column, *_ in connection.execute(f'pragma table_info("{table}")').fetchall():
                    connection.execute(
                        f'update "{table}" set "{column}" = redacted("{column}") '
                        f'where typeof("{column}") = \'text\' and redacted("{column}") <> "{column}"'
                    )
            connection.execute("commit")
            connection.execute("vacuum")
            connection.execute("pragma wal_checkpoint(truncate)")
    except sqlite3.Error as error:
        raise WarehouseError(
            f"{path}: names somebody who is to be erased, and cannot be written: {error}; end what uses it, then run "
            "the same command again"
        ) from None


def sweep_spool(warehouse_path: Path) -> None:
    """Remove what killed runs left of answers on their way; runs that go on ask the list of who was erased."""
    with spool_session(warehouse_path.parent / "spool"):
        pass
