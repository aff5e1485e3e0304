"""Backfills that are not finished: a small file each beside the warehouse, so that the same command goes on.

What belongs here: which backfill was asked for, and when it began. What it brought so far, the ledger knows.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onelens_claude.clock import utc_now
from onelens_claude.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

_PREFIX = "backfill"


@dataclass(frozen=True, slots=True)
class Backfill:
    """What was typed: empty where an option was left out, so that tomorrow's same command is still the same."""

    first: str
    last: str
    organization: str
    began_at: dt.datetime

    @property
    def command(self) -> str:
        """Return what to type to go on with it."""
        options = {"--org": self.organization, "--from": self.first, "--to": self.last}
        given = [f" {name} {value}" for name, value in options.items() if value]
        return f"onelens-claude backfill{''.join(given)}"

    @property
    def file_name(self) -> str:
        """Return the name of its file: one backfill, one name."""
        return "_".join(part for part in (_PREFIX, self.organization, self.first, f"to_{self.last}") if part != "to_")


def unfinished(folder: Path) -> list[Backfill]:
    """Return the backfills that began and did not bring everything, oldest first."""
    found = [_read(path) for path in folder.glob(f"{_PREFIX}*.json")]
    return sorted((one for one in found if one), key=lambda one: one.began_at)


def begin(folder: Path, first: str | None, last: str | None, organization: str | None) -> tuple[Backfill, bool]:
    """Note that a backfill begins; return it, and whether the same one began before and is not finished.

    SettingsError where the folder cannot be written.
    """
    new = Backfill(first or "", last or "", organization or "", utc_now())
    path = folder / f"{new.file_name}.json"
    if interrupted := _read(path):
        return interrupted, True
    content = {"from": new.first, "to": new.last, "organization": new.organization, "began_at": str(new.began_at)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = path.with_suffix(".new")
        written.write_text(json.dumps(content), encoding="utf-8")
        written.replace(path)
    except OSError as error:
        raise SettingsError(f"warehouse.path: {folder}: cannot be written: {error.strerror}") from None
    return new, False


def finish(folder: Path, backfill: Backfill) -> None:
    """Forget a backfill that brought everything: the same command then asks for all of it anew."""
    (folder / f"{backfill.file_name}.json").unlink(missing_ok=True)


def _read(path: Path) -> Backfill | None:
    """Return what a file says; nothing where it is missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        began_at = dt.datetime.fromisoformat(content["began_at"])
        return Backfill(content["from"], content["to"], content["organization"], began_at.astimezone(dt.UTC))
    except (OSError, ValueError, KeyError, TypeError):
        return None
