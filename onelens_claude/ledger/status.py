"""What each organisation holds of each endpoint, in one of a few states. Reads the ledger only.

Late (not there yet), forbidden, failed, never asked, and complete are different; an empty day is complete.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onelens_claude.api.endpoints import (
    FIRST_DAY,
    Endpoint,
    Family,
    newest_possible_day,
)
from onelens_claude.api.windows import windows
from onelens_claude.clock import naive_utc
from onelens_claude.errors import NotYetAvailableError, day_state
from onelens_claude.ledger.held import first_expected_day, held_days, not_pulled_since, oldest_askable_day
from onelens_claude.states import DayState, EndpointState

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb

    from onelens_claude.settings import Organization, Settings

_PULLED_BY = dt.timedelta(hours=12)
"""Until noon a missing yesterday is no gap: `daily_schedule` asks for it at 10:30 UTC, and takes a while."""
_SPANS_SHOWN = 4
LATEST_LAG_DAYS = 5
"""Engagement may come up to four days late; beyond that a missing day is a gap, whatever the API says."""


@dataclass(frozen=True, slots=True)
class EndpointStatus:
    """One endpoint of one organisation."""

    organization_id: str
    endpoint: str
    state: EndpointState
    complete_through: dt.date | None
    """Newest day up to which every day is whole."""
    first_day: dt.date | None
    gaps: tuple[dt.date, ...]
    provisional_days: int
    """Held days that can still change."""
    last_fetched_at: dt.datetime | None
    """Of the newest complete pull, naive UTC."""
    reason: str
    """The newest failure, where it is newer than every complete pull."""

    @property
    def is_complete(self) -> bool:
        """Tell whether nothing that is available is missing."""
        return self.state in {EndpointState.COMPLETE, EndpointState.LATE, EndpointState.DUE, EndpointState.INCOMPLETE}

    def in_words(self) -> str:
        """Return one sentence for people."""
        text = f"{self.organization_id}: {self.state.value}"
        if self.complete_through:
            text += f", complete up to {self.complete_through}"
        if self.gaps:
            text += f", missing {in_spans(self.gaps)}"
        reason = without_place(self.reason, self.organization_id, self.endpoint)
        return f"{text} ({reason})" if reason else text


@dataclass(frozen=True, slots=True)
class Missing:
    """Days of one endpoint of one organisation that a backfill was to bring and did not."""

    organization_id: str
    endpoint: str
    days: tuple[dt.date, ...]
    reason: str

    def in_words(self) -> str:
        """Return one line for people; the reason need not name organisation, endpoint and days once more."""
        reason = without_place(self.reason, self.organization_id, self.endpoint)
        if reason != self.reason:
            reason = reason.partition(": ")[2]
        return f"{self.organization_id}: {self.endpoint} {in_spans(self.days)}: {reason}"


def without_place(reason: str, organization_id: str, endpoint: str) -> str:
    """Return a reason without the organisation and endpoint it begins with, for a line that has just named them."""
    return reason.removeprefix(f"{organization_id}: {endpoint} ")


def in_spans(days: Iterable[dt.date]) -> str:
    """Return days for people: `2026-03-01..2026-03-31, 2026-05-02 (32 days)`."""
    days = list(days)
    spans = [str(span) for span in windows(days, len(days))]
    more = f" and {len(spans) - _SPANS_SHOWN} more spans" if len(spans) > _SPANS_SHOWN else ""
    return f"{', '.join(spans[:_SPANS_SHOWN])}{more} ({len(days)} {'day' if len(days) == 1 else 'days'})"


def endpoint_status(
    connection: duckdb.DuckDBPyConnection,
    organization_id: str,
    endpoint: Endpoint,
    now: dt.datetime,
    *,
    revision_days: int = 30,
    first_wanted: dt.date = FIRST_DAY,
) -> EndpointStatus:
    """Return the status of one endpoint of one organisation at `now`."""
    newest = newest_possible_day(now, endpoint.family)
    first = first_expected_day(connection, organization_id, endpoint)
    failure = _newest_failure(connection, organization_id, endpoint)
    if first is None:
        return EndpointStatus(
            organization_id, endpoint.name, EndpointState.NEVER_PULLED, None, None, (), 0, None, "run a backfill"
        )
    held = held_days(connection, organization_id, endpoint, first, newest) if first <= newest else {}
    oldest = max(first, oldest_askable_day(connection, organization_id, endpoint, now, first_wanted))
    missing = [day for day in _days(oldest, newest) if day not in held]
    due = _due_days(missing, now)
    late = _late_days(connection, organization_id, endpoint, missing, newest - dt.timedelta(days=len(due)))
    gaps = tuple(day for day in missing if day not in late | due)
    incomplete = [day for day, pull in held.items() if not pull.is_complete(day)]
    last_fetched_at = max((pull.fetched_at for pull in held.values()), default=None)
    window = revision_days if endpoint.family is Family.COST else LATEST_LAG_DAYS
    provisional = sum(pull.fetched_at < _end(day) + dt.timedelta(days=window) for day, pull in held.items())
    not_whole = {*missing, *incomplete}
    before_first_hole = min(not_whole, default=newest + dt.timedelta(days=1)) - dt.timedelta(days=1)
    is_newer = failure is not None and (last_fetched_at is None or failure.sequence > failure.newest_complete)
    state = _state(gaps, late, due, incomplete, failure if is_newer else None)
    was_asked = bool(held) or failure is not None
    return EndpointStatus(
        organization_id=organization_id,
        endpoint=endpoint.name,
        state=state if was_asked else EndpointState.NEVER_PULLED,
        complete_through=before_first_hole if held.keys() - not_whole and before_first_hole >= first else None,
        first_day=first,
        gaps=gaps,
        provisional_days=provisional,
        last_fetched_at=last_fetched_at,
        reason=(failure.message if failure and (is_newer or gaps or late) else "") if was_asked else "run a backfill",
    )


def missing_days(
    connection: duckdb.DuckDBPyConnection,
    organization: Organization,
    endpoint: Endpoint,
    span: tuple[dt.date, dt.date],
    *,
    since: dt.datetime,
    now: dt.datetime,
) -> Missing | None:
    """Return which days of a span (inclusive) were not pulled since a moment, though the API has them; else null."""
    first = max(span[0], oldest_askable_day(connection, organization.id, endpoint, now, organization.backfill_start))
    last = min(span[1], newest_possible_day(now, endpoint.family))
    began = naive_utc(since)
    missing = not_pulled_since(connection, organization.id, endpoint, _days(first, last), since)
    late = _late_days(connection, organization.id, endpoint, missing, last, since=began)
    days = tuple(day for day in missing if day not in late)
    if not days:
        return None
    failure = _newest_failure(connection, organization.id, endpoint)
    reason = failure.message if failure and failure.fetched_at >= began else "not asked for yet"
    return Missing(organization.id, endpoint.name, days, reason)


@dataclass(frozen=True, slots=True)
class _Failure:
    error_type: str
    message: str
    fetched_at: dt.datetime
    sequence: int
    newest_complete: int


def _newest_failure(connection: duckdb.DuckDBPyConnection, organization_id: str, endpoint: Endpoint) -> _Failure | None:
    row = connection.execute(
        """select
            arg_max(error_type, pull_sequence) filter (status = 'failed'),
            arg_max(error_message, pull_sequence) filter (status = 'failed'),
            arg_max(fetched_at, pull_sequence) filter (status = 'failed'),
            max(pull_sequence) filter (status = 'failed'),
            coalesce(max(pull_sequence) filter (status = 'complete'), 0)
        from claude_raw.pulls
        where organization_id = ? and endpoint = ?""",
        [organization_id, endpoint.name],
    ).fetchone()
    return _Failure(*row) if row and row[0] is not None else None


def _due_days(missing: list[dt.date], now: dt.datetime) -> set[dt.date]:
    """Return yesterday, where it is missing and the daily run has not had its time to ask for it."""
    return {day for day in missing if naive_utc(now) < _end(day) + _PULLED_BY}


def _late_days(
    connection: duckdb.DuckDBPyConnection,
    organization_id: str,
    endpoint: Endpoint,
    missing: list[dt.date],
    newest: dt.date,
    *,
    since: dt.datetime | None = None,
) -> set[dt.date]:
    """Return the missing days, from `newest` back, of which the API said that they are not there yet."""
    if endpoint.family is not Family.ENGAGEMENT:
        return set()
    row = connection.execute(
        "select max(window_end) from claude_raw.pulls where organization_id = ? and endpoint = ? "
        "and status = 'failed' and error_type = ? and fetched_at >= coalesce(?, fetched_at)",
        [organization_id, endpoint.name, NotYetAvailableError.error_type, since],
    ).fetchone()
    if row is None or row[0] is None or row[0] <= newest:
        return set()
    late: set[dt.date] = set()
    for day in sorted(missing, reverse=True):
        if day > newest:
            continue
        if day != newest - dt.timedelta(days=len(late)) or len(late) == LATEST_LAG_DAYS:
            break
        late.add(day)
    return late


def _state(
    gaps: tuple[dt.date, ...],
    late: set[dt.date],
    due: set[dt.date],
    incomplete: list[dt.date],
    failure: _Failure | None,
) -> EndpointState:
    newest = day_state(failure.error_type) if failure else None
    if newest is DayState.FORBIDDEN:
        return EndpointState.FORBIDDEN
    if newest is DayState.FAILED:
        return EndpointState.FAILED
    if gaps:
        return EndpointState.GAPS
    if late:
        return EndpointState.LATE
    if due:
        return EndpointState.DUE
    return EndpointState.INCOMPLETE if incomplete else EndpointState.COMPLETE


def _days(first: dt.date, last: dt.date) -> list[dt.date]:
    """Return every day from `first` to `last`, both inclusive."""
    return [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]


def _end(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time()) + dt.timedelta(days=1)


def all_statuses(connection: duckdb.DuckDBPyConnection, settings: Settings, now: dt.datetime) -> list[EndpointStatus]:
    """Return the status of every endpoint that is switched on, of every organisation in the settings."""
    return [
        endpoint_status(
            connection,
            organization.id,
            endpoint,
            now,
            revision_days=settings.polling.revision_days,
            first_wanted=settings.first_day(organization.id),
        )
        for organization in settings.organizations
        for endpoint in settings.endpoints()
    ]
