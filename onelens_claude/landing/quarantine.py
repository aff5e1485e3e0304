"""Refused bytes, set aside beside the warehouse for inspection.

What is here: the folder of each refused pull or answer, and the note that says why.
What to add here: another thing that is kept for inspection.
What must not go here: deciding what is refused (`parsing.py`, `appending.py`, `api/answers.py`).
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from onelens_claude import errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from onelens_claude.landing.fetching import FetchedPull


class Quarantine:
    """The folder that holds what was refused."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

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
            (target / "error.json").write_text(f"{note}\n", encoding="utf-8")
        except OSError as fault:
            reason = fault.strerror or fault
            raise errors.WarehouseError(f"{target}: refused bytes cannot be kept: {reason} ({error})") from None
