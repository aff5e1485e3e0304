"""Which key each organisation is read with, by fingerprint and age.

What is here: what is known of a key without knowing it. What to add here: another such thing.
What must not go here: reading keys (`keys.py`), and telling of old ones (`facts.py`).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onelens_claude.clock import naive_utc
from onelens_claude.errors import UnreadableKeyError
from onelens_claude.keys import digest

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator, Mapping

    from onelens_claude.keys import KeySource
    from onelens_claude.settings import Organization, Settings

_FINGERPRINT = 12
"""Characters of a SHA-256: enough to tell an organisation's keys apart."""


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """One key of one organisation, present or next."""

    organization_id: str
    setting: str
    """Which setting says where it is."""
    fingerprint: str
    """The beginning of its SHA-256."""
    first_seen_at: dt.datetime | None
    """When a run used it first, naive UTC; null where none has."""
    age_days: int | None


def key_statuses(
    settings: Settings, seen: Mapping[tuple[str, str], dt.datetime], now: dt.datetime
) -> Iterator[KeyStatus]:
    """Yield what is known of each key that can be read here; `seen` is `AlertLog.keys`.

    A program is not run for it: of what it prints, the last key that a run used is shown.
    """
    for organization in settings.organizations:
        for source in organization.key_sources:
            found = _used_last(organization.id, seen) if source.command else _of(source)
            if found is None:
                continue
            at = seen.get((organization.id, found))
            age = (naive_utc(now).date() - at.date()).days if at else None
            yield KeyStatus(organization.id, source.setting, found[:_FINGERPRINT], at, age)


def key_warnings(organizations: Iterable[Organization]) -> list[str]:
    """Return what is wrong with who else can read the keys."""
    sources = [source for organization in organizations for source in organization.key_sources]
    return [warning for source in sources if (warning := source.warning())]


def _of(source: KeySource) -> str | None:
    with suppress(UnreadableKeyError):
        return digest(source.read())
    return None


def _used_last(organization_id: str, seen: Mapping[tuple[str, str], dt.datetime]) -> str | None:
    of_it = {key: at for (organization, key), at in seen.items() if organization == organization_id}
    return max(of_it, key=lambda key: of_it[key], default=None)
