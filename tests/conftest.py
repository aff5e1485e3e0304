"""What every test can use: served organisations, settings in a real file, the clock, and a place to land.

What belongs here: fixtures that several test modules need. What does not: helpers of one module.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import tempfile
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
import requests
import yaml

from onelens_claude.endpoints import ENDPOINTS
from onelens_claude.fake_api import OrganizationSpec, RunningServer, create_app, running_server
from onelens_claude.resources import Onelens
from onelens_claude.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from starlette.applications import Starlette
    from starlette.types import Receive, Scope, Send

    from onelens_claude.client import AnalyticsClient
    from onelens_claude.endpoints import Endpoint
    from onelens_claude.landing import DayOutcome

NOW = "2026-11-20T12:00:00Z"
FIRST_DAY = dt.date(2026, 11, 1)
"""The first day with data of every served organisation, unless its specification says otherwise."""


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("CONFIG", "WAREHOUSE", "SERVING", "ENCRYPTION_KEY", "PSEUDONYM_KEY", "NOW"):
        monkeypatch.delenv(f"ONELENS_{variable}", raising=False)


@pytest.fixture
def set_now(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Replace the clock, ours and that of every server of this test."""
    return lambda moment: monkeypatch.setenv("ONELENS_NOW", moment)


class Stage:
    """A server that stays up for the whole session; each test brings its own app."""

    app: Starlette

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@pytest.fixture(scope="session")
def _stages() -> Iterator[Callable[[int], tuple[Stage, RunningServer]]]:
    with contextlib.ExitStack() as running:
        stages: list[tuple[Stage, RunningServer]] = []

        def stage(number: int) -> tuple[Stage, RunningServer]:
            while len(stages) <= number:
                new = Stage()
                stages.append((new, running.enter_context(running_server(new))))
            return stages[number]

        yield stage


@pytest.fixture
def serve(
    set_now: Callable[[str], None], _stages: Callable[[int], tuple[Stage, RunningServer]]
) -> Callable[..., RunningServer]:
    """Serve the given organisations (default: one of five people), with `create_app` options."""
    set_now(NOW)
    numbers = itertools.count()

    def start(*specs: OrganizationSpec, **options: Any) -> RunningServer:
        stage, server = _stages(next(numbers))
        stage.app = create_app(specs or (organization(),), **{"requests_per_minute": None, **options})
        return replace(server, app=stage.app)

    return start


def organization(api_key: str = "sk-ant-api01-acme", **changes: Any) -> OrganizationSpec:
    """Specify a small organisation."""
    return OrganizationSpec(**{"api_key": api_key, "users": 5, "first_day": FIRST_DAY, **changes})


@pytest.fixture
def write_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Write onelens.yaml and the organisations' key files into a folder of this test, and load it."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # the rate limit's state
    monkeypatch.setattr(tempfile, "tempdir", None)

    def write(organizations: dict[str, tuple[str, str]], **sections: Any) -> Settings:
        """`organizations` is id to (key, base_url)."""
        content: dict[str, Any] = {"organizations": []}
        for name, (key, base_url) in organizations.items():
            (tmp_path / f"{name}.key").write_text(key)
            content["organizations"].append(
                {"id": name, "api_key_file": str(tmp_path / f"{name}.key"), "base_url": base_url}
            )
        content["polling"] = {"requests_per_minute": 100_000, "attempts": 2, "timeout_seconds": 10}
        content["polling"] |= sections.pop("polling", {})
        path = tmp_path / "onelens.yaml"
        path.write_text(yaml.safe_dump({**content, **sections}))
        monkeypatch.setenv("ONELENS_CONFIG", str(path))
        return load_settings()

    return write


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

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.settings.warehouse_path)) as connection:
            return connection.execute(sql, list(parameters)).fetchall()

    def amount(self, endpoint: str = "user_cost_report", where: str = "true") -> Decimal:
        """Add up the amounts of every day's newest complete pull, in cents."""
        return self.query(
            f"""with days as (
                select organization_id, unnest(range(window_start, window_end, interval 1 day))::date as activity_date,
                    pull_id, fetched_at, pull_sequence
                from claude_raw.pulls where endpoint = '{endpoint}' and status = 'complete'
            ),
            current_days as (
                select organization_id, activity_date, arg_max(pull_id, (fetched_at, pull_sequence)) as pull_id
                from days group by all
            )
            select coalesce(sum(amount::decimal(38, 12)), 0)
            from claude_raw.{endpoint}_rows join current_days using (organization_id, activity_date, pull_id)
            where {where}"""
        )[0][0]

    def truth(self, topic: str, first: str, last: str, name: str = "acme", **parameters: Any) -> dict[str, Any]:
        answer = requests.get(
            f"{self.server.base_url}/truth/{topic}",
            params={"from": first, "to": last, **parameters},
            headers={"x-api-key": self.settings.organization(name).api_key()},
            timeout=20,
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

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


@pytest.fixture
def place(serve: Callable[..., RunningServer], write_settings: Callable[..., Settings]) -> Callable[..., Place]:
    """Serve organisations (id to specification, default: acme), and point settings at them."""

    def make(
        specs: dict[str, OrganizationSpec] | None = None, *, polling: dict[str, int] | None = None, **options: Any
    ) -> Place:
        specs = specs or {"acme": organization()}
        server = serve(*specs.values(), **options)
        settings = write_settings(
            {name: (spec.api_key, server.base_url) for name, spec in specs.items()}, polling=polling or {}
        )
        return Place(server, settings)

    return make
