"""One served organisation: its days, revised as of a moment, and what of them is visible.

What is here: caching of days, revisions, the freshness rules, and the events of a window.
What to add here: another rule of what is visible when.
What must not go here: random draws (generator.py), people (roster.py), parameters and rows (contract.py, reports.py).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from onelens_claude.fake_api.events import (
    CACHE_READ,
    COUNTS,
    DIMENSIONS,
    OUTPUT,
    PRODUCT,
    PRODUCTS,
    REQUESTS,
    TAG_USER,
    Events,
    Pricer,
    concatenate,
    empty_events,
)
from onelens_claude.fake_api.generator import Generator
from onelens_claude.fake_api.pricing import FACTOR_UNIT
from onelens_claude.fake_api.roster import Person, build_roster, late_arrival, tagged_id
from onelens_claude.fake_api.spec import OrganizationSpec, Revision, midnight

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onelens_claude.fake_api.events import Mask
    from onelens_claude.fake_api.pricing import Ints

_DAY_MINUTES = 24 * 60
_BUSY_DAY = date(2026, 1, 14)
_RUNAWAY = ("claude_code", "claude-opus-4-7")
_RUNAWAY_EVERY_MINUTES = 5
_RUNAWAY_TOKENS_PER_USD = (1_000_000 // 150, 1_000_000 // 3)
"""Output and cache reads of that model in fast mode, which costs six times its price."""

GROUP_NAMES = ("Engineering", "Data", "Marketing", "Finance", "Leadership", "Support")


@dataclass(frozen=True)
class Snapshot:
    """A moment to answer for: the clock, and how many of the revisions known then count."""

    now: datetime
    revision_count: int


@dataclass(frozen=True)
class PricedEvents:
    """Events with their amounts and list amounts (n x 7, 10^-12 cents)."""

    events: Events
    amounts: Ints
    listed: Ints

    def take(self, rows: Ints | Mask) -> PricedEvents:
        """Return the rows of a mask or of positions."""
        return PricedEvents(self.events.take(rows), self.amounts[rows], self.listed[rows])


class Organization:
    """Answers for the base data of one organisation, from any thread."""

    def __init__(self, spec: OrganizationSpec) -> None:
        """Make the people; days are drawn when asked for."""
        self.spec = spec
        self.engagement_lag_days = spec.engagement_lag_days
        self.cost_lag = spec.cost_lag
        self.organization_id = spec.organization_id or tagged_id("org", spec.seed, spec.name)
        self._roster = build_roster(spec)
        self.people: list[Person] = list(self._roster)
        self._generator = Generator(spec, self._roster)
        self.vocabularies = self._generator.vocabularies
        self.pricer = Pricer(spec.wide)
        self.group_ids = tuple(tagged_id("rbac_group", spec.seed, number) for number in range(len(GROUP_NAMES)))
        self.revisions: list[Revision] = []
        self._late: dict[date, int] = {}
        self._lock = threading.RLock()
        self._base: dict[date, Events] = {}
        self._days: dict[tuple[date, tuple[int, ...]], PricedEvents] = {}
        for revision in spec.revisions:
            self.add_revision(revision)

    def add_revision(self, revision: Revision) -> None:
        """Let a day change from the revision's moment on."""
        with self._lock:
            if revision.kind == "runaway" and revision.user_id not in {person.user_id for person in self.people}:
                raise ValueError(f"user_id: a runaway needs somebody's id, not {revision.user_id!r}")
            if revision.kind == "new_user" and revision.day not in self._late:
                self._late[revision.day] = len(self.people)
                self.people.append(late_arrival(self.spec, len(self.people), revision.day))
            self.revisions.append(revision)

    def snapshot(self, now: datetime) -> Snapshot:
        """Return the state at `now` with the revisions known at this call."""
        return Snapshot(now, len(self.revisions))

    def refreshed_at(self, snapshot: Snapshot) -> datetime:
        """Return up to when cost and usage are complete: the clock less the lag, whole minutes."""
        return (snapshot.now - self.cost_lag).replace(second=0, microsecond=0)

    def latest_engagement_day(self, now: datetime) -> date:
        """Return the newest day whose engagement is aggregated (10:00 UTC, `engagement_lag_days` later)."""
        return (now - timedelta(hours=10)).date() - timedelta(days=self.engagement_lag_days)

    def has_day(self, day: date) -> bool:
        """Whether the spec's range covers a day."""
        return self.spec.first_day <= day and (self.spec.last_day is None or day <= self.spec.last_day)

    def applied(self, day: date, snapshot: Snapshot) -> tuple[int, ...]:
        """Return the numbers of the revisions of a day that are in effect."""
        return tuple(
            number
            for number, revision in enumerate(self.revisions[: snapshot.revision_count])
            if revision.day == day and (revision.effective_at is None or revision.effective_at <= snapshot.now)
        )

    def full_day(self, day: date, snapshot: Snapshot) -> PricedEvents:
        """Return every event of a day as of a moment, whether or not the clock has reached it."""
        key = (day, self.applied(day, snapshot))
        with self._lock:
            found = self._days.get(key)
            if found is None:
                if day not in self._base:
                    self._base[day] = self._generator.day(day) if self.has_day(day) else empty_events()
                events = self._base[day]
                for number in key[1]:
                    events = self._revise(events, self.revisions[number])
                found = PricedEvents(events, *self.pricer.amounts(events))
                self._days[key] = found
        return found

    def window(self, start: datetime, end: datetime, snapshot: Snapshot) -> PricedEvents:
        """Return the events of [start, end) that the freshness stamp has reached."""
        end = min(end, self.refreshed_at(snapshot))
        parts = []
        for day in _days(start, end):
            priced = self.full_day(day, snapshot)
            low, high = _minutes(start, day), _minutes(end, day)
            if low > 0 or high < _DAY_MINUTES:
                minute = priced.events.minute
                priced = priced.take((minute >= low) & (minute < high))
            parts.append(priced)
        if not parts:
            nothing = empty_events()
            return PricedEvents(nothing, *self.pricer.amounts(nothing))
        if len(parts) == 1:
            return parts[0]
        return PricedEvents(
            concatenate([part.events for part in parts]),
            np.concatenate([part.amounts for part in parts]),
            np.concatenate([part.listed for part in parts]),
        )

    def _revise(self, events: Events, revision: Revision) -> Events:
        if revision.kind == "empty":
            return empty_events()
        if revision.kind in {"up", "down"}:
            mask = np.ones(len(events), dtype=np.bool_)
            if revision.user_id is not None:
                wanted = {person.index for person in self.people if person.user_id == revision.user_id}
                mask &= np.isin(events.person, list(wanted))
            if revision.product is not None:
                mask &= events.dims[:, PRODUCT] == PRODUCTS.index(revision.product) + 1
            return events.scaled(mask, revision.percent if revision.kind == "up" else -revision.percent)
        if revision.kind == "new_user":
            return concatenate([events, self._late_events(revision.day)])
        if revision.kind == "runaway":
            return concatenate([events, self._runaway_events(revision)])
        return events

    def _runaway_events(self, revision: Revision) -> Events:
        """Return fast Claude Code every few minutes until midnight: its cost is half output, half cache reads."""
        minute = np.arange(revision.from_hour * 60, _DAY_MINUTES, _RUNAWAY_EVERY_MINUTES, dtype=np.int64)
        dims = np.zeros((len(minute), len(DIMENSIONS)), dtype=np.int64)
        words = {"product": _RUNAWAY[0], "model": _RUNAWAY[1], "context_window": "0-200k", "speed": "fast"}
        for name, word in (words | {"inference_geo": "global"}).items():
            dims[:, DIMENSIONS.index(name)] = self.vocabularies[name].index(word)
        half = revision.usd_per_hour * _RUNAWAY_EVERY_MINUTES / 120
        counts = np.zeros((len(minute), len(COUNTS)), dtype=np.int64)
        counts[:, OUTPUT], counts[:, CACHE_READ] = (int(half * tokens) for tokens in _RUNAWAY_TOKENS_PER_USD)
        counts[:, REQUESTS] = 10
        person = next(one.index for one in self.people if one.user_id == revision.user_id)
        return Events(
            day=np.full(len(minute), revision.day.toordinal(), dtype=np.int64),
            minute=minute,
            person=np.full(len(minute), person, dtype=np.int64),
            dims=dims,
            counts=counts,
            factors=np.full((len(minute), 3), FACTOR_UNIT, dtype=np.int64),
            billable=np.ones(len(minute), dtype=np.int64),
        )

    def _late_events(self, day: date) -> Events:
        """Return rows of an ordinary working day of some user, moved to this day and the late person."""
        source = self._generator.day(_BUSY_DAY)
        dims = source.dims
        usage = np.flatnonzero((source.person >= 0) & (dims[:, PRODUCT] > 0) & (dims[:, TAG_USER] == 0))
        if not len(usage):
            usage = np.flatnonzero((dims[:, PRODUCT] > 0) & (dims[:, TAG_USER] == 0))
        chosen = source.take(usage[:3])
        person = np.full(len(chosen), self._late[day], dtype=np.int64)
        when = np.full(len(chosen), day.toordinal(), dtype=np.int64)
        return replace(chosen, person=person, day=when, billable=np.ones(len(chosen), dtype=np.int64))


def _days(start: datetime, end: datetime) -> Iterator[date]:
    day = start.date()
    while midnight(day) < end:
        yield day
        day += timedelta(days=1)


def _minutes(moment: datetime, day: date) -> int:
    return max(min(int((moment - midnight(day)).total_seconds() // 60), _DAY_MINUTES), 0)
