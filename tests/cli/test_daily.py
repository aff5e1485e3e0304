"""What `daily` asks the API for on a quiet day: the new day, the days that settle, four probes and the week in turn."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import pytest

from onelens_claude.api.endpoints import ENDPOINTS
from onelens_claude.cli import pulling
from onelens_claude.cli.runs import run_job
from onelens_claude.orchestration.resources import Onelens
from onelens_claude.settings import load_settings
from tests.organizations import organization
from tests.worlds import process_environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.worlds import World

FIRST, LAST = dt.date(2026, 10, 1), dt.date(2026, 11, 19)
NEW_DAY, SETTLED_COST, SETTLED_ENGAGEMENT = "2026-11-20", "2026-10-21", "2026-11-16"


def land_and_publish(world: World) -> None:
    """Hold every endpoint's days, as a backfill on the day before left them; the marts come with `daily`."""
    with process_environment(world.variables()):
        settings = load_settings()
        onelens = Onelens(settings)
        days = [FIRST + dt.timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
        for endpoint in settings.endpoints():
            onelens.landing(endpoint.name).land(endpoint, {"acme": days})
        onelens.warehouse().publish()


def kind(path: str, query: str) -> str:
    """Tell the requests of `daily` apart by endpoint and days."""
    given = {name: values[0] for name, values in parse_qs(query).items()}
    name = path.rsplit("/", 1)[1]
    first = given.get("date") or given.get("starting_date") or given["starting_at"][:10]
    last = given.get("ending_date") or given.get("ending_at", "")[:10]
    if last and (dt.date.fromisoformat(last) - dt.date.fromisoformat(first)).days > 1:
        return f"{name} over {(dt.date.fromisoformat(last) - dt.date.fromisoformat(first)).days} days"
    return f"{name} {first}"


@pytest.mark.usefixtures("facts_only")
def test_a_quiet_day_costs_four_probes_one_request_for_the_week_in_turn_and_the_days_own(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world({"acme": organization(users=2, first_day=FIRST)})
    land_and_publish(world)
    log = world.servers["acme"].api.log
    log.clear()
    world.now += dt.timedelta(days=1)
    world.good("daily")

    asked = Counter(kind(one.path, one.query) for one in log)
    # of one organisation of fewer than 1000 users: its rows of a week are one page
    probes = {"cost_report over 30 days": 2, "usage_report over 30 days": 2, "user_cost_report over 7 days": 1}
    engagement = {f"{name} {day}": 1 for name in ("summaries", "users", "projects", "skills", "connectors")
                  for day in (NEW_DAY, SETTLED_ENGAGEMENT)}  # fmt: skip
    users = {
        f"{name} {day}": 1 for name in ("user_cost_report", "user_usage_report") for day in (NEW_DAY, SETTLED_COST)
    }
    reports = {f"{name} {day}": 2 for name in ("cost_report", "usage_report") for day in (NEW_DAY, SETTLED_COST)}
    assert asked == probes | engagement | users | reports

    # the marts are built, and ask nothing: once more without them
    raw = [f"claude_raw/{endpoint.name}" for endpoint in ENDPOINTS.values() if not endpoint.is_optional]
    monkeypatch.setattr(pulling, "run_job", partial(run_job, assets=raw))
    log.clear()
    world.good("daily")
    probes = {name.replace("30", "31"): count for name, count in probes.items()}  # the new day is held now, too
    assert Counter(kind(one.path, one.query) for one in log) == probes
