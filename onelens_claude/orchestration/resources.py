"""What the assets need from outside: settings, the warehouse, the API clients. Plain objects, made when asked for.

Settings are read at run time, not when the code location loads, so that the UI opens before there is a settings file
and a rotated key is used on the next run. Keys never enter Dagster's configuration.

What is here: the way from Dagster into the other rooms. What to add here: another thing that assets need.
What must not go here: decisions about days or pulls (`ledger`, `landing`).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from onelens_claude.api.client import AnalyticsClient
from onelens_claude.api.rate_limit import SharedRateLimit
from onelens_claude.landing.landing import Landing
from onelens_claude.privacy.forgotten import Forgotten
from onelens_claude.privacy.hiding import hides
from onelens_claude.settings import Organization, Settings, load_settings
from onelens_claude.warehouse.files import Warehouse

if TYPE_CHECKING:
    from collections.abc import Callable

    from onelens_claude.watch.turns import AllowedRequests

    OnProgress = Callable[[str, int, int, int], None]
    """Endpoint, pulls done, pulls in all (0 before the first is done), pages so far; from several threads."""

_LONGEST_ANSWER = 20
"""Seconds: whoever watches the running day looks again soon."""
DBT_RESOURCE = "dbt"
ONELENS_RESOURCE = "onelens"


class Onelens:
    """The way from Dagster into the domain code."""

    def __init__(self, settings: Settings | None = None, *, on_progress: OnProgress | None = None) -> None:
        self._given = settings
        self._on_progress = on_progress

    def settings(self) -> Settings:
        """Return the settings given, or those of the file, read now. Raises SettingsError."""
        return self._given or load_settings()

    def warehouse(self) -> Warehouse:
        """Return the two database files of the settings."""
        return Warehouse.of(self.settings())

    def client(self, organization: Organization, on_page: Callable[[], None] | None = None) -> AnalyticsClient:
        """Return a client of one organisation that reads its key again for each request."""
        polling = self.settings().polling
        return AnalyticsClient(
            organization_id=organization.id,
            base_url=organization.base_url,
            api_key=organization.api_key,
            next_api_key=organization.next_api_key,
            rate_limit=SharedRateLimit(organization.id, organization.base_url, polling.requests_per_minute),
            attempts=polling.attempts,
            timeout_seconds=polling.timeout_seconds,
            on_page=on_page,
            keeps=self._keeps(organization),
        )

    def watching_client(
        self, organization: Organization, limit: AllowedRequests, sleep: Callable[[float], None]
    ) -> AnalyticsClient:
        """Return a client for a look at the running day: it sends each request once, under the look's own limit."""
        return AnalyticsClient(
            organization_id=organization.id,
            base_url=organization.base_url,
            api_key=organization.api_key,
            next_api_key=organization.next_api_key,
            rate_limit=limit,
            attempts=1,
            timeout_seconds=min(self.settings().polling.timeout_seconds, _LONGEST_ANSWER),
            sleep=sleep,
            keeps=self._keeps(organization),
        )

    def _keeps(self, organization: Organization) -> Callable[[str, bytes], bytes]:
        """Return what may be kept of an organisation's answers: nobody who was erased, others as the settings say."""
        without_forgotten = Forgotten.beside(self.settings().warehouse_path).in_organization(organization.id)
        hidden = hides(self.settings().pseudonyms(), organization.id)
        return lambda endpoint, rows: hidden(endpoint, without_forgotten(endpoint, rows))

    def landing(self, endpoint: str, log_progress: Callable[[int, int, int], None] | None = None) -> Landing:
        """Return the landing for every organisation; `endpoint` names the work when progress is reported."""
        done = total = pages = 0
        guard = threading.Lock()

        def tell() -> None:
            if log_progress:
                log_progress(done, total, pages)
            if self._on_progress:
                self._on_progress(endpoint, done, total, pages)

        def on_progress(pulls_done: int, pulls: int) -> None:
            nonlocal done, total
            with guard:
                done, total = pulls_done, pulls
                tell()

        def on_page() -> None:
            nonlocal pages
            with guard:
                pages += 1
                tell()

        settings = self.settings()
        clients = {organization.id: self.client(organization, on_page) for organization in settings.organizations}
        return Landing(settings, self.warehouse(), clients, on_progress=on_progress)
