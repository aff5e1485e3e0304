"""From "these days of these organisations" to complete pulls in the warehouse.

What is here: which of the days can be asked for, and their windows. What to add here: a rule about a day that is known
not to be there without asking.
What must not go here: what is asked and appended then (`work.py`), anything of Dagster.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from onelens_claude.api.endpoints import Endpoint, Family, first_available_day, newest_possible_day
from onelens_claude.api.windows import windows
from onelens_claude.clock import naive_utc, utc_now
from onelens_claude.landing.asking import Asking
from onelens_claude.landing.fetching import PullRequest, spool_session
from onelens_claude.landing.quarantine import Quarantine
from onelens_claude.landing.work import DayOutcome, DayStatus, Work

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Mapping

    import duckdb

    from onelens_claude.api.client import AnalyticsClient
    from onelens_claude.settings import Settings
    from onelens_claude.warehouse.files import Warehouse

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Plan:
    requests: list[PullRequest] = field(default_factory=list)
    outcomes: list[DayOutcome] = field(default_factory=list)
    """Outcomes of days of which the answer is known without a request."""


class Landing:
    """Pulls days into one warehouse."""

    def __init__(
        self,
        settings: Settings,
        warehouse: Warehouse,
        clients: Mapping[str, AnalyticsClient],
        *,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._settings = settings
        self._warehouse = warehouse
        self._clients = clients
        self._on_progress = on_progress
        self._spool_folder = warehouse.path.parent / "spool"
        self._quarantine = Quarantine.beside(warehouse)

    def land(
        self, endpoint: Endpoint, days_by_organization: Mapping[str, Iterable[dt.date]], *, run_id: str | None = None
    ) -> list[DayOutcome]:
        """Pull the days and return one outcome per organisation and day, oldest first.

        An organisation's failure is an outcome, never an exception, so that it does not hold up the others.
        Raises WarehouseError where nothing can be written.
        """
        plan = self._plan(endpoint, days_by_organization)
        with self._warehouse.writer() as connection:  # what cannot be written is an error before anything is asked
            self._warn_of_the_clock(connection)
        with spool_session(self._spool_folder) as spool:
            asking = Asking(self._clients, spool)
            work = Work(self._warehouse, asking, self._quarantine, run_id, self._on_progress)
            outcomes = plan.outcomes + work.run(plan.requests)
        return sorted(outcomes, key=lambda one: (one.day, one.organization_id))

    def _warn_of_the_clock(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Say so when the ledger's newest fetch lies in the future: the clock was fast then, or is slow now."""
        row = connection.execute("select max(fetched_at) from claude_raw.pulls where status = 'complete'").fetchone()
        newest, now = row and row[0], naive_utc(utc_now())
        if newest and newest > now:
            _log.warning(
                "fetch times go backwards: it is %s UTC now, and the newest pull was fetched at %s UTC. Check this "
                "machine's clock. Pulls are ordered by the ledger, so the newest still counts.",
                f"{now:%Y-%m-%d %H:%M}",
                f"{newest:%Y-%m-%d %H:%M}",
            )

    def _plan(self, endpoint: Endpoint, days_by_organization: Mapping[str, Iterable[dt.date]]) -> _Plan:
        now = utc_now()
        oldest = first_available_day(now.date())
        newest = newest_possible_day(now, endpoint.family)
        yesterday = newest_possible_day(now, Family.COST)
        plan = _Plan()
        for organization_id, days in days_by_organization.items():
            asked = []
            start = self._settings.organization(organization_id).backfill_start
            first_kept = self._settings.first_kept_day or start
            for day in sorted(set(days)):
                status = DayStatus.UNAVAILABLE if day < max(oldest, start, first_kept) else DayStatus.LATE
                if day < oldest:
                    reason = f"the API holds nothing before {oldest}"
                elif day < start:
                    reason = f"the settings' backfill_start is {start}"
                elif day < first_kept:
                    reason = f"the settings' retention.months keeps nothing before {first_kept}"
                elif day > yesterday:
                    reason = f"{day} is not over yet (UTC)"
                elif day > newest:
                    reason = f"{endpoint.family} of {day} is aggregated at 10:00 UTC"
                else:
                    asked.append(day)
                    continue
                plan.outcomes.append(DayOutcome(organization_id, day, status, reason))
            for window in windows(asked, endpoint.window_days):
                plan.requests.append(PullRequest(organization_id, endpoint, window))
        return plan
