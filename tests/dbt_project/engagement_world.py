"""Two organisations at work, as the local server tells them and as the engagement marts are built of their pages.

What belongs here: serving, landing and building them, and asking the server what is true. What does not: expectations.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
import requests
import yaml

from onelens_claude.api.endpoints import ENDPOINTS
from onelens_claude.fake_api import Fault, OrganizationSpec, create_app, running_server
from onelens_claude.fake_api.spec import DEFAULT_FEATURES
from onelens_claude.orchestration.resources import Onelens
from onelens_claude.settings import load_settings
from onelens_claude.warehouse.settings_tables import store_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DAY = dt.timedelta(days=1)
FIRST, MIDDLE, LAST = dt.date(2026, 1, 1), dt.date(2026, 2, 3), dt.date(2026, 2, 11)
THEN, NOW = dt.datetime(2026, 2, 4, 12, tzinfo=dt.UTC), dt.datetime(2026, 2, 12, 12, tzinfo=dt.UTC)
"""A project is renamed and an account deleted between the two fetches."""
NULL_BLOCK_DAY = dt.date(2026, 1, 20)
BETA_LATEST = dt.date(2026, 2, 8)
JANUARY = dt.date(2026, 1, 1)
LANDED = (
    "summaries",
    "users",
    "chat_projects",
    "skills",
    "connectors",
    "plugins",
    "artifacts",
    "user_cost_report",
    "cost_report",
)
SURFACES = {
    "chat": ("chat",),
    "claude_code": ("claude_code",),
    "cowork": ("cowork",),
    "office": ("excel", "outlook", "powerpoint", "word"),
    "design": ("design",),
    "science": ("science",),
}
ENGAGEMENT_MARTS = (
    "user_daily_engagement",
    "org_daily_adoption",
    "project_daily_adoption",
    "skill_daily_usage",
    "connector_daily_usage",
    "plugin_daily_usage",
    "artifact_daily_creation",
    "tool_daily_acceptance",
    "user_monthly_adoption",
    "idle_seats",
    "idle_users",
    "org_monthly_unit_economics",
    "user_monthly_unit_economics",
    "engagement_day_states",
)
WHAT_TO_BUILD = (
    "--indirect-selection=cautious",
    "--exclude=test_type:unit",
    "--select",
    *(f"+{mart}" for mart in ENGAGEMENT_MARTS),
)
"""These marts, all they are made of, and the tests of nothing else."""


class BuiltWorld:
    """The built warehouse and what the server says is true."""

    def __init__(self, path: Any, base_url: str, output: str) -> None:
        self.path = path
        self.output = output
        self.truth = {name: self._read(base_url, name, "engagement") for name in ("acme", "beta")}
        self.days = self._read(base_url, "acme", "days")
        self.costs = self._read(base_url, "acme", "costs", by="day,user_id,product")

    @staticmethod
    def _read(base_url: str, name: str, topic: str, **parameters: str) -> list[dict[str, Any]]:
        answer = requests.get(
            f"{base_url}/truth/{topic}",
            params={"from": str(FIRST), "to": str(LAST), **parameters},
            headers={"x-api-key": f"key-{name}"},
            timeout=60,
        )
        return answer.json()["rows"]

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.path), read_only=True) as connection:
            return connection.execute(sql, list(parameters)).fetchall()

    def dicts(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        with duckdb.connect(str(self.path), read_only=True) as connection:
            cursor = connection.execute(sql, list(parameters))
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def build_world(dbt: Callable[..., str], folder: Path) -> BuiltWorld:
    """Land two fetches of six weeks and build the marts after each."""
    clock = [THEN]
    specs = [
        OrganizationSpec(api_key="key-acme", seed=3, users=20),
        OrganizationSpec(
            api_key="key-beta",
            seed=2,
            users=8,
            plan="seat",
            name="Beta",
            engagement_lag_days=4,
            features=DEFAULT_FEATURES - {"claude_tag", "file_edit_metrics"},
        ),
    ]
    app = create_app(specs, now=lambda: clock[0], requests_per_minute=None)
    with running_server(app) as server, pytest.MonkeyPatch.context() as patch:
        server.api.faults.add(Fault("forbidden", endpoint="connectors", organization="Beta", times=None))
        server.api.faults.add(
            Fault("null_block", endpoint="users", organization="Acme Corp", day=NULL_BLOCK_DAY, value="chat_metrics")
        )
        patch.setenv("TMPDIR", str(folder))
        patch.setattr(tempfile, "tempdir", None)
        for name in ("acme", "beta"):
            (folder / f"{name}.key").write_text(f"key-{name}")
        config = {
            "warehouse": {"path": str(folder / "o.duckdb"), "serving_path": str(folder / "s.duckdb")},
            "organizations": [
                {"id": name, "api_key_file": str(folder / f"{name}.key"), "base_url": server.base_url, "plan": plan}
                for name, plan in (("acme", "usage"), ("beta", "seat"))
            ],
            "polling": {"requests_per_minute": 100_000, "attempts": 1},
        }
        (folder / "onelens.yaml").write_text(yaml.safe_dump(config))
        onelens = Onelens(load_settings(folder / "onelens.yaml"))
        with onelens.warehouse().writer() as connection:
            store_settings(connection, onelens.settings())
        output = ""
        for moment, days in (
            (THEN, {"acme": (FIRST, MIDDLE), "beta": (FIRST, MIDDLE)}),
            # the second time only what is new, and the days that had not settled
            (NOW, {"acme": (MIDDLE - 3 * DAY, LAST), "beta": (MIDDLE - 3 * DAY, LAST)}),
        ):
            clock[0] = moment
            patch.setenv("ONELENS_NOW", moment.isoformat())
            wanted = {name: [a + n * DAY for n in range((b - a).days + 1)] for name, (a, b) in days.items()}
            for endpoint in LANDED:
                onelens.landing(endpoint).land(ENDPOINTS[endpoint], wanted, run_id=f"run at {moment}")
            output = dbt(folder / "o.duckdb", "run" if moment is THEN else "build", *WHAT_TO_BUILD)
        return BuiltWorld(folder / "o.duckdb", server.base_url, output)


def truth_users(world: BuiltWorld, name: str = "acme") -> dict[tuple[dt.date, str], dict[str, Any]]:
    return {
        (dt.date.fromisoformat(row["day"]), user_id): told
        for row in world.truth[name]
        for user_id, told in row["users"].items()
    }
