"""What each organisation holds of each endpoint, in one of a few states. Reads the ledger only.

Late (not there yet), forbidden, failed, never asked, and complete are different; an empty day is complete.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from onelens_claude.endpoints import Endpoint, Family, first_available_day, newest_possible_day
from onelens_claude.ledger import first_expected_day, held_days

if TYPE_CHECKING:
    import duckdb

    from onelens_claude.settings import Settings

_LATEST_LAG_DAYS = 5
"""Engagement may come up to four days late; beyond that a missing day is a gap, whatever the API says."""


class State(StrEnum):
    """Where one endpoint of one organisation stands."""

    COMPLETE = "complete"
    """Every day up to the newest that can exist."""
    LATE = "late"
    """Every day that is there; newer ones are not aggregated yet."""
    INCOMPLETE = "incomplete"
    """The newest days are held, but their answers did not reach the day's end."""
    GAPS = "gaps"
    """Days are missing though they are there."""
    FORBIDDEN = "forbidden"
    """The newest attempt was refused: 401 or 403."""
    FAILED = "failed"
    """The newest attempt failed otherwise."""
    NEVER_PULLED = "never pulled"


@dataclass(frozen=True, slots=True)
class EndpointStatus:
    """One endpoint of one organisation."""

    organization_id: str
    endpoint: str
    state: State
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
        return self.state in {State.COMPLETE, State.LATE, State.INCOMPLETE}

    def in_words(self) -> str:
        """Return one sentence for people."""
        text = f"{self.organization_id}: {self.state.value}"
        if self.complete_through:
            text += f", complete up to {self.complete_through}"
        if self.gaps:
            text += f", {len(self.gaps)} days missing from {self.gaps[0]}"
        return f"{text} ({self.reason})" if self.reason else text


def endpoint_status(
    connection: duckdb.DuckDBPyConnection,
    organization_id: str,
    endpoint: Endpoint,
    now: dt.datetime,
    *,
    revision_days: int = 30,
) -> EndpointStatus:
    """Return the status of one endpoint of one organisation at `now`."""
    newest = newest_possible_day(now, endpoint.family)
    first = first_expected_day(connection, organization_id, endpoint)
    failure = _newest_failure(connection, organization_id, endpoint)
    if first is None:
        return EndpointStatus(
            organization_id, endpoint.name, State.NEVER_PULLED, None, None, (), 0, None, "run a backfill"
        )
    held = held_days(connection, organization_id, endpoint, first, newest) if first <= newest else {}
    expected = [first + dt.timedelta(days=n) for n in range((newest - first).days + 1)]
    missing = [day for day in expected if day not in held]
    late = _late_days(endpoint, missing, failure, newest)
    still_there = first_available_day(now.date())
    gaps = tuple(day for day in missing if day not in late and day >= still_there)
    incomplete = [day for day, pull in held.items() if not pull.is_complete(day)]
    last_fetched_at = max((pull.fetched_at for pull in held.values()), default=None)
    window = revision_days if endpoint.family is Family.COST else _LATEST_LAG_DAYS
    provisional = sum(pull.fetched_at < _end(day) + dt.timedelta(days=window) for day, pull in held.items())
    not_whole = {*missing, *incomplete}
    whole = [day for day in expected if day not in not_whole]
    before_first_hole = min(not_whole, default=newest + dt.timedelta(days=1)) - dt.timedelta(days=1)
    is_newer = failure is not None and (last_fetched_at is None or failure.sequence > failure.newest_complete)
    return EndpointStatus(
        organization_id=organization_id,
        endpoint=endpoint.name,
        state=_state(gaps, late, incomplete, failure if is_newer else None),
        complete_through=before_first_hole if whole and before_first_hole >= first else None,
        first_day=first,
        gaps=gaps,
        provisional_days=provisional,
        last_fetched_at=last_fetched_at,
        reason=failure.message if failure and (is_newer or gaps or late) else "",
    )


@dataclass(frozen=True, slots=True)
class _Failure:
    error_type: str
    message: str
    sequence: int
    newest_complete: int


def _newest_failure(connection: duckdb.DuckDBPyConnection, organization_id: str, endpoint: Endpoint) -> _Failure | None:
    row = connection.execute(
        """select
            arg_max(error_type, pull_sequence) filter (status = 'failed'),
            arg_max(error_message, pull_sequence) filter (status = 'failed'),
            max(pull_sequence) filter (status = 'failed'),
            coalesce(max(pull_sequence) filter (status = 'complete'), 0)
        from claude_raw.pulls
        where organization_id = ? and endpoint = ?""",
        [organization_id, endpoint.name],
    ).fetchone()
    return _Failure(row[0], row[1], row[2], row[3]) if row and row[2] is not None else None


def _late_days(endpoint: Endpoint, missing: list[dt.date], failure: _Failure | None, newest: dt.date) -> set[dt.date]:
    """Return the missing days that the API said, or may still say, are not there yet."""
    if endpoint.family is not Family.ENGAGEMENT or failure is None or failure.error_type != "not_yet_available":
        return set()
    late: set[dt.date] = set()
    for day in sorted(missing, reverse=True):
        if day != newest - dt.timedelta(days=len(late)) or len(late) == _LATEST_LAG_DAYS:
            break
        late.add(day)
    return late


def _state(gaps: tuple[dt.date, ...], late: set[dt.date], incomplete: list[dt.date], failure: _Failure | None) -> State:
    if failure and failure.error_type in {"permission_error", "authentication_error"}:
        return State.FORBIDDEN
    if failure and failure.error_type != "not_yet_available":
        return State.FAILED
    if gaps:
        return State.GAPS
    if late:
        return State.LATE
    return State.INCOMPLETE if incomplete else State.COMPLETE


def _end(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time()) + dt.timedelta(days=1)


def all_statuses(connection: duckdb.DuckDBPyConnection, settings: Settings, now: dt.datetime) -> list[EndpointStatus]:
    """Return the status of every endpoint that is switched on, of every organisation in the settings."""
    return [
        endpoint_status(connection, organization.id, endpoint, now, revision_days=settings.polling.revision_days)
        for organization in settings.organizations
        for endpoint in settings.endpoints()
    ]
