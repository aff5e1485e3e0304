"""What a backfill will ask for, said without asking."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import TYPE_CHECKING

from onelens_claude.ledger.planning import plan_backfill
from tests.organizations import organization

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.worlds import World

DAYS = (dt.date(2026, 11, 1), dt.date(2026, 11, 19))


def planned_requests(here: World, *, known: bool) -> dict[str, int]:
    settings = here.settings
    warehouse = here.onelens.warehouse()
    if not known:
        plan = plan_backfill(None, settings.organizations, settings.endpoints(), DAYS, 60)
    else:
        warehouse.publish()
        with warehouse.reader() as connection:
            plan = plan_backfill(connection, settings.organizations, settings.endpoints(), DAYS, 60)
    return {one.endpoint: one.requests for one in plan}


def test_nothing_is_asked_and_every_endpoint_is_planned(make_world: Callable[..., World]) -> None:
    here = make_world()
    assert planned_requests(here, known=False) == {
        "summaries": 1,
        "users": 19,
        "chat_projects": 19,
        "skills": 19,
        "connectors": 19,
        "user_usage_report": 1,
        "user_cost_report": 1,
        "usage_report": 2,
        "cost_report": 2,
    }
    assert here.requests() == []


def test_the_plan_after_a_first_load_is_what_a_second_one_asks(make_world: Callable[..., World]) -> None:
    here = make_world({"acme": organization(users=40)})
    for endpoint in here.settings.endpoints():
        here.land(endpoint, "2026-11-01", "2026-11-19")
    planned = planned_requests(here, known=True)
    here.server.api.log.clear()
    for endpoint in here.settings.endpoints():
        here.land(endpoint, "2026-11-01", "2026-11-19")
    asked = Counter(path.split("?")[0].rsplit("/", 1)[1] for path in here.requests())
    asked["chat_projects"] = asked.pop("projects")
    assert asked == planned


def test_days_before_an_organisations_start_are_not_planned(make_world: Callable[..., World]) -> None:
    here = make_world()
    late = here.settings.organizations[0].model_copy(update={"backfill_start": dt.date(2026, 11, 15)})
    plan = plan_backfill(None, [late], here.settings.endpoints(), DAYS, 60)
    assert next(one.windows for one in plan if one.endpoint == "users") == 5
