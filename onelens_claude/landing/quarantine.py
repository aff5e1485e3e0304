"""Refused bytes, set aside beside the warehouse for inspection.

What is here: the folder of each refused pull or answer, and the note that says why.
What to add here: another thing that is kept for inspection.
What must not go here: deciding what is refused (`parsing.py`, `appending.py`, `api/answers.py`).
"""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from onelens_claude import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from onelens_claude.landing.fetching import FetchedPull
    from onelens_claude.warehouse.files import Warehouse

_NOTE = "error.json"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class Quarantine:
    """The folder that holds what was refused."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def beside(cls, warehouse: Warehouse) -> Quarantine:
        """Return the folder of a warehouse."""
        return cls(warehouse.path.parent / "quarantine")

    def forget_before(self, day: dt.date) -> int:
        """Delete what was asked for a day before `day`, or is itself that old; return how many folders went."""
        old = [one for one in self._folder.glob("*") if one.is_dir() and _oldest_day(one) < day]
        for folder in old:
            shutil.rmtree(folder, ignore_errors=True)
        return len(old)

    def forget_where(self, is_meant: Callable[[bytes], bool]) -> int:
        """Delete every folder with a file whose bytes are meant; return how many folders went."""
        meant = [
            folder
            for folder in self._folder.glob("*")
            if folder.is_dir() and any(is_meant(one.read_bytes()) for one in folder.iterdir() if one.is_file())
        ]
        for folder in meant:
            shutil.rmtree(folder, ignore_errors=True)
        return len(meant)

    def keep(self, pull: FetchedPull, error: errors.OnelensError) -> Path:
        """Keep the bytes of a refused pull for inspection; return their folder."""
        pages = [{"file": page.path.name, "request_path": page.request_path} for page in pull.pages]
        with self._described(pull.pull_id, error, pages) as target:
            target.mkdir(parents=True)
            for page in pull.pages:
                (target / page.path.name).write_bytes(page.body())
        return target

    def keep_answer(self, pull_id: str, error: errors.OnelensError, body: bytes) -> Path:
        """Keep one answer that is not a page of the API; return its folder."""
        with self._described(pull_id, error, [{"file": "answer"}]) as target:
            target.mkdir(parents=True)
            (target / "answer").write_bytes(body)
        return target

    @contextmanager
    def _described(self, pull_id: str, error: errors.OnelensError, pages: list[dict[str, str]]) -> Iterator[Path]:
        """Yield the folder to fill, then write the reason beside; WarehouseError where that is impossible."""
        target = self._folder / pull_id
        try:
            yield target
            note = json.dumps({"error": str(error), "pages": pages}, indent=2)
            (target / _NOTE).write_text(f"{note}\n", encoding="utf-8")
        except OSError as fault:
            reason = fault.strerror or fault
            raise errors.WarehouseError(f"{target}: refused bytes cannot be kept: {reason} ({error})") from None


def _oldest_day(folder: Path) -> dt.date:
    """Return the oldest day that the requests of a folder name, or the day on which it was written."""
    written = dt.datetime.fromtimestamp(folder.stat().st_mtime, dt.UTC).date()
    with suppress(OSError, ValueError, LookupError, TypeError):  # a note that a killed process left half-written
        pages = json.loads((folder / _NOTE).read_text(encoding="utf-8"))["pages"]
        asked = [day for page in pages for day in _DAY.findall(page.get("request_path", ""))]
        return min(dt.date.fromisoformat(day) for day in asked)
    return written
