"""What the assets need from outside: settings, the warehouse, the API clients. Plain objects, made when asked for.

Settings are read at run time, not when the code location loads, so that the UI opens before there is a settings
file and a rotated key is used on the next run. Keys never enter Dagster's configuration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onelens_claude.client import AnalyticsClient
from onelens_claude.landing import Landing
from onelens_claude.rate_limit import SharedRateLimit
from onelens_claude.settings import Organization, Settings, load_settings
from onelens_claude.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Callable

    OnProgress = Callable[[str, int, int], None]

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
        settings = self.settings()
        return Warehouse(settings.warehouse_path, settings.serving_path)

    def client(self, organization: Organization) -> AnalyticsClient:
        """Return a client of one organisation that reads its key anew for each request."""
        polling = self.settings().polling
        return AnalyticsClient(
            organization_id=organization.id,
            base_url=organization.base_url,
            api_key=organization.api_key,
            rate_limit=SharedRateLimit(organization.id, organization.base_url, polling.requests_per_minute),
            attempts=polling.attempts,
            timeout_seconds=polling.timeout_seconds,
        )

    def landing(self, endpoint: str, log_progress: Callable[[int, int], None] | None = None) -> Landing:
        """Return what pulls days of every organisation into the warehouse; `endpoint` names the work to watchers."""

        def on_progress(done: int, total: int) -> None:
            if log_progress:
                log_progress(done, total)
            if self._on_progress:
                self._on_progress(endpoint, done, total)

        settings = self.settings()
        clients = {organization.id: self.client(organization) for organization in settings.organizations}
        return Landing(settings, self.warehouse(), clients, on_progress=on_progress)
