"""What the threads of a landing ask: each request once, as much of its window as is there, and nothing known already.

What is here: what one answer says about an organisation's other requests, shared by its threads.
What to add here: a rule about what is still asked after a failure of the API.
What must not go here: HTTP and retries (`api/client.py`), the files of one pull (`fetching.py`), what becomes of a pull
(`work.py`), anything of Dagster.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from onelens_claude import errors
from onelens_claude.api.endpoints import Shape
from onelens_claude.api.windows import Window
from onelens_claude.landing.fetching import FetchedPull, PullRequest, fetch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from onelens_claude.api.client import AnalyticsClient

_FAILURES_IN_A_ROW = 3


@dataclass(frozen=True, slots=True)
class Fetched:
    """The result of one request: the pull and, if it begins later or ends earlier than asked, why."""

    pull: FetchedPull
    early: errors.TooEarlyError | None = None
    late: errors.NotYetAvailableError | None = None


class NotAskedError(errors.OnelensError):
    """A request that was not sent, because `cause` already answers it."""

    def __init__(self, cause: errors.OnelensError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Asking:
    """Fetches requests of one endpoint for several threads."""

    def __init__(self, clients: Mapping[str, AnalyticsClient], spool: Path) -> None:
        self._clients = clients
        self._spool = spool
        self._stopped: dict[str, errors.OnelensError] = {}
        """Organisations whose key or host failed for good: asking again for each window would not help."""
        self._failures_in_a_row: Counter[str] = Counter()
        self._newest: dict[str, errors.NotYetAvailableError] = {}
        self._oldest: dict[str, errors.TooEarlyError] = {}
        """What the API said about an organisation's newest and oldest day at this endpoint."""
        self._guard = threading.Lock()

    def fetch(self, request: PullRequest) -> Fetched:
        """Fetch a request, or as much of its window as is there."""
        early: errors.TooEarlyError | None = None
        late: errors.NotYetAvailableError | None = None
        while True:
            self._stop_early(request)
            try:
                return Fetched(self._ask(request), early, late)
            except errors.NotYetAvailableError as error:
                shorter = _until(request, error.latest_day)
                if shorter is None:
                    raise
                late, request = error, shorter
            except errors.TooEarlyError as error:
                shorter = _from(request, error.earliest_day)
                if shorter is None:
                    raise
                early, request = error, shorter

    def _ask(self, request: PullRequest) -> FetchedPull:
        """Fetch once, and remember what it says about the organisation's other requests."""
        organization_id = request.organization_id
        try:
            pull = fetch(self._clients[organization_id], request, self._spool)
        except errors.NotYetAvailableError as error:
            with self._guard:
                self._newest[organization_id] = error
            raise
        except errors.TooEarlyError as error:
            with self._guard:
                self._oldest[organization_id] = error
            raise
        except (errors.ApiError, errors.SettingsError) as error:
            is_final = error.ends_the_run and error.body is None
            with self._guard:
                self._failures_in_a_row[organization_id] += 1
                if is_final or self._failures_in_a_row[organization_id] >= _FAILURES_IN_A_ROW:
                    self._stopped[organization_id] = error
            raise
        with self._guard:
            self._failures_in_a_row[organization_id] = 0
        return pull

    def _stop_early(self, request: PullRequest) -> None:
        """Raise the error that is already known instead of asking for it again."""
        with self._guard:
            stopped = self._stopped.get(request.organization_id)
            late = self._newest.get(request.organization_id)
            early = self._oldest.get(request.organization_id)
        if stopped:
            raise NotAskedError(stopped)
        if late and late.latest_day and request.window.start > late.latest_day:
            raise NotAskedError(late)
        if early and early.earliest_day and request.window.end <= early.earliest_day:
            raise NotAskedError(early)

    def give_up(self, organization_id: str, error: errors.OnelensError) -> None:
        """Ask nothing more of an organisation: its other requests would be answered alike."""
        with self._guard:
            self._stopped[organization_id] = error

    def end_waits(self, organization_id: str) -> None:
        """End the waits of an organisation's threads; any later request of theirs raises."""
        self._clients[organization_id].stop()


def _until(request: PullRequest, latest_day: dt.date | None) -> PullRequest | None:
    """Return the part of a window that is there, when the endpoint takes more than a day and some is."""
    if request.endpoint.shape is Shape.DAY_ROWS or latest_day is None or latest_day < request.window.start:
        return None
    return replace(request, window=Window(request.window.start, latest_day + dt.timedelta(days=1)))


def _from(request: PullRequest, earliest_day: dt.date | None) -> PullRequest | None:
    """Return the part of a window that the API still has, when the endpoint takes more than a day and some is."""
    if request.endpoint.shape is Shape.DAY_ROWS or earliest_day is None or earliest_day >= request.window.end:
        return None
    return replace(request, window=Window(earliest_day, request.window.end))
