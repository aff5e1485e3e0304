"""The one loaded world of the end-to-end tests: everything a person would have after some days of use."""

from __future__ import annotations

import datetime as dt
import shutil
from typing import TYPE_CHECKING

import pytest

from onelens_claude.cli.gates import EXIT_BREACHED
from onelens_claude.fake_api import Revision
from tests.alerts.receivers import HttpReceiver, http_receiver
from tests.organizations import organization
from tests.worlds import scratch_folder, serving_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onelens_claude.fake_api.spec import RevisionKind
    from tests.worlds import World

FIRST, LAST = dt.date(2026, 10, 15), dt.date(2026, 11, 19)
REVISED = dt.date(2026, 10, 21)
BACKFILL_AT = "2026-11-20T12:00:00+00:00"
DAILY_AT = "2026-11-21T12:00:00+00:00"


NEWEST = LAST + dt.timedelta(days=1)
"""The newest day at the `daily`."""
REVISED_AGES: dict[int, RevisionKind] = {1: "up", 3: "down", 7: "empty", 29: "new_user", 31: "up"}
"""How umbrella's days of these ages, counted from the newest, change before the `daily`."""


def _revision(kind: RevisionKind, percent: int = 20, day: dt.date = REVISED) -> Revision:
    return Revision(day, kind, effective_at=dt.datetime.fromisoformat("2026-11-21T00:00:00+00:00"), percent=percent)


@pytest.fixture(scope="session")
def receiver() -> Iterator[HttpReceiver]:
    """Take what the loaded world's channel is told."""
    with http_receiver() as here:
        yield here


@pytest.fixture(scope="session")
def loaded(receiver: HttpReceiver) -> Iterator[World]:
    """Four organisations on two servers: a backfill, and a `daily` on the next day after revisions.

    The serving copy as it was after the backfill is kept as `data/first.duckdb`. The clock stands at the backfill.
    """
    here = {
        "acme": organization(
            api_key="sk-ant-api01-acme", seed=1, users=30, first_day=FIRST, revisions=(_revision("up", 35),)
        ),
        "globex": organization(
            api_key="sk-ant-api01-globex",
            seed=2,
            users=24,
            plan="seat",
            name="Globex",
            first_day=FIRST,
            revisions=(_revision("new_user"), _revision("down")),
        ),
        "umbrella": organization(
            api_key="sk-ant-api01-umbrella",
            seed=5,
            users=12,
            name="Umbrella",
            first_day=FIRST,
            revisions=tuple(_revision(kind, day=NEWEST - dt.timedelta(days=age)) for age, kind in REVISED_AGES.items()),
        ),
    }
    elsewhere = {
        # the same key on another server: only base_url tells them apart
        "initech": organization(
            api_key="sk-ant-api01-acme",
            seed=77,
            users=9,
            name="Initech",
            first_day=FIRST,
            revisions=(_revision("empty"),),
        )
    }
    with scratch_folder() as folder, serving_world(folder, BACKFILL_AT, here, elsewhere) as world:
        world.write_settings(
            budgets=[
                {"id": "month", "organization": "*", "limit_usd": 500},
                {"id": "person", "organization": "*", "scope": "user", "value": "*", "monthly_usd": "20.00"},
            ],
            alerts=[{"id": "hook", "kind": "webhook", "url_env": "HOOK_URL"}],
        )
        world.environment["HOOK_URL"] = receiver.address
        world.good("backfill", "--from", str(FIRST), "--to", str(LAST))
        shutil.copyfile(world.serving, folder / "data" / "first.duckdb")
        world.now = dt.datetime.fromisoformat(DAILY_AT)
        world.control("acme", "freshness", engagement_lag_days=4)
        assert world.run("daily", "--fail-on", "budget").exit_code == EXIT_BREACHED
        world.control("acme", "freshness", engagement_lag_days=1)
        world.now = dt.datetime.fromisoformat(BACKFILL_AT)
        yield world
