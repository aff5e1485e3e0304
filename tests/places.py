"""Served organisations and the place they land in, for tests of the core; `conftest.py` makes them.

What belongs here: how a test lands days and reads what was landed. What does not: the command line (`worlds.py`).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb

from onelens_claude.api.endpoints import ENDPOINTS
from onelens_claude.ledger.held import current_days
from onelens_claude.orchestration.resources import Onelens
from onelens_claude.warehouse.settings_tables import store_settings
from tests.organizations import ask_truth

if TYPE_CHECKING:
    from onelens_claude.api.client import AnalyticsClient
    from onelens_claude.api.endpoints import Endpoint
    from onelens_claude.fake_api import RunningServer
    from onelens_claude.landing.work import DayOutcome
    from onelens_claude.settings import Settings


@dataclass
class Place:
    """Served organisations, the settings that name them, and the warehouse they land in."""

    server: RunningServer
    settings: Settings

    @property
    def onelens(self) -> Onelens:
        return Onelens(self.settings)

    def client(self, name: str = "acme") -> AnalyticsClient:
        return self.onelens.client(self.settings.organization(name))

    def land(
        self, endpoint: str | Endpoint, first: str, last: str | None = None, organizations: tuple[str, ...] = ("acme",)
    ) -> list[DayOutcome]:
        """Land both days and everything between."""
        endpoint = ENDPOINTS[endpoint] if isinstance(endpoint, str) else endpoint
        wanted = dict.fromkeys(organizations, days(first, last or first))
        return self.onelens.landing(endpoint.name).land(endpoint, wanted, run_id="run")

    def store_settings(self) -> None:
        """Write the tables of the settings, as every job does before it builds."""
        with self.onelens.warehouse().writer() as connection:
            store_settings(connection, self.settings)

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.settings.warehouse_path)) as connection:
            return connection.execute(sql, list(parameters)).fetchall()

    def amount(self, endpoint: str = "user_cost_report", where: str = "true") -> Decimal:
        """Add up the amounts of every day's newest complete pull, in cents."""
        return self.query(
            f"""select coalesce(sum(amount::decimal(38, 12)), 0)
            from claude_raw.{endpoint}_rows
            join (select organization_id, activity_date, pull_id from ({current_days()}) where endpoint = '{endpoint}')
                using (organization_id, activity_date, pull_id)
            where {where}"""
        )[0][0]

    def truth(self, topic: str, first: str, last: str, name: str = "acme", **parameters: Any) -> dict[str, Any]:
        key = self.settings.organization(name).api_key()
        return ask_truth(self.server.base_url, key, topic, **{"from": first, "to": last, **parameters})

    def true_amount(self, first: str, last: str, name: str = "acme", column: str = "user_amount") -> Decimal:
        return sum((Decimal(row[column]) for row in self.truth("days", first, last, name)["rows"]), Decimal(0))

    def requests(self, ending: str = "") -> list[str]:
        """Return path and query of what the server was asked, oldest first."""
        asked = [f"{one.path}?{one.query}" for one in self.server.api.log]
        return [one for one in asked if one.split("?")[0].endswith(ending)]


def small_pages(endpoint: str, page_size: int = 5) -> Endpoint:
    """Return an endpoint that is asked in pages of so few rows that a small organisation fills several."""
    return replace(ENDPOINTS[endpoint], page_size=page_size)


def days(first: str, last: str) -> list[dt.date]:
    """Return every day from `first` to `last`, both inclusive."""
    start, end = dt.date.fromisoformat(first), dt.date.fromisoformat(last)
    return [start + dt.timedelta(days=n) for n in range((end - start).days + 1)]
