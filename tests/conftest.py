"""What every test can use: served organisations, settings in a real file, the clock, and a world to land in.

What belongs here: fixtures that several test modules need. What does not: helpers of one module.
"""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from onelens_claude.fake_api import OrganizationSpec, RunningServer, create_app, running_server
from onelens_claude.settings import Settings, load_settings
from tests.organizations import NOW, organization, write_settings_file
from tests.worlds import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from starlette.applications import Starlette
    from starlette.types import Receive, Scope, Send


_ONE_WORKER = {
    "tests/end_to_end/test_daemon.py": "daemon",
    "tests/end_to_end/": "loaded",
    "tests/test_package.py": "package",
    "tests/dbt_project/test_engagement": "world",
    "tests/dbt_project/test_budgets.py": "stages",
    "tests/dbt_project/test_cost_marts.py": "stages",
    "tests/dbt_project/test_forecast.py": "stages",
    "tests/dbt_project/test_marts.py": "stages",
    "tests/dbt_project/test_no_distinct_sums.py": "stages",
    "tests/dbt_project/test_properties.py": "stages",
    "tests/dbt_project/test_retention.py": "stages",
    "tests/dbt_project/test_savings.py": "stages",
    "tests/dbt_project/test_spend_changes.py": "stages",
    "tests/dbt_project/test_teams.py": "stages",
    "tests/dbt_project/test_chargeback.py": "stages",
    "tests/dbt_project/test_tested_builds.py": "tested",
    "tests/privacy/test_forget.py": "forget",
    "tests/backtest/test_backtest.py": "backtest",
}
"""Tests that share what takes long to load and build stay on one worker, so that it is made once."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no worker is left alone with it at the end."""
    items.sort(key=lambda item: _group(item.nodeid) is None)


def _group(nodeid: str) -> str | None:
    return next((group for path, group in _ONE_WORKER.items() if nodeid.startswith(path)), None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Group by path: pytest 9.2 no longer takes the group that xdist 3.8 writes into a test's id."""
    from xdist.scheduler import LoadGroupScheduling

    class ByPath(LoadGroupScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group(nodeid) or nodeid

    return ByPath(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("CONFIG", "WAREHOUSE", "SERVING", "ENCRYPTION_KEY", "PSEUDONYM_KEY", "NOW"):
        monkeypatch.delenv(f"ONELENS_{variable}", raising=False)


@pytest.fixture
def set_now(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Replace the clock, ours and that of every server of this test."""
    return lambda moment: monkeypatch.setenv("ONELENS_NOW", moment)


class SwappedApp:
    """The app of a server that stays up for the whole session: each test puts its own behind it."""

    app: Starlette

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@pytest.fixture(scope="session")
def _standing_servers() -> Iterator[Callable[[int], tuple[SwappedApp, RunningServer]]]:
    with contextlib.ExitStack() as running:
        servers: list[tuple[SwappedApp, RunningServer]] = []

        def server_number(number: int) -> tuple[SwappedApp, RunningServer]:
            while len(servers) <= number:
                swapped = SwappedApp()
                server = running.enter_context(running_server(swapped))  # type: ignore[arg-type] # any ASGI app does
                servers.append((swapped, server))
            return servers[number]

        yield server_number


@pytest.fixture
def serve(
    set_now: Callable[[str], None], _standing_servers: Callable[[int], tuple[SwappedApp, RunningServer]]
) -> Callable[..., RunningServer]:
    """Serve the given organisations (default: one of five people), with `create_app` options."""
    set_now(NOW)
    numbers = itertools.count()

    def start(*specs: OrganizationSpec, **options: Any) -> RunningServer:
        swapped, server = _standing_servers(next(numbers))
        swapped.app = create_app(specs or (organization(),), **{"requests_per_minute": None, **options})
        return replace(server, app=swapped.app)

    return start


@pytest.fixture
def write_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Write onelens.yaml and the organisations' key files into a folder of this test, and load it."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # the rate limit's state
    monkeypatch.setattr(tempfile, "tempdir", None)

    def write(organizations: dict[str, tuple[str, str]], **sections: Any) -> Settings:
        """`organizations` is id to (key, base_url)."""
        named = []
        for name, (key, base_url) in organizations.items():
            key_file = tmp_path / f"{name}.key"
            key_file.write_text(key)
            named.append({"id": name, "api_key_file": str(key_file), "base_url": base_url})
        path = tmp_path / "onelens.yaml"
        write_settings_file(path, named, **sections)
        monkeypatch.setenv("ONELENS_CONFIG", str(path))
        return load_settings()

    return write


@pytest.fixture
def make_world(
    serve: Callable[..., RunningServer], write_settings: Callable[..., Settings], tmp_path: Path
) -> Callable[..., World]:
    """Serve organisations (id to specification, default: acme), and point settings at them."""

    def make(
        specs: dict[str, OrganizationSpec] | None = None, *, polling: dict[str, int] | None = None, **options: Any
    ) -> World:
        specs = specs or {"acme": organization()}
        server = serve(*specs.values(), **options)
        keys = {name: spec.api_key for name, spec in specs.items()}
        write_settings({name: (key, server.base_url) for name, key in keys.items()}, polling=polling or {})
        return World(tmp_path, servers=dict.fromkeys(specs, server), keys=keys)

    return make
