"""How many requests a backfill and a day cost, counted at the server and compared with the fewest possible.

The fewest are computed from the server's truth and the documented limits alone: a day per request or 31 days, 1000 rows
or 31 buckets per page, one page at least, the total and the detail of the two reports, and where a bucket of the detail
reaches the cap of 100 groups: the products, a page per product, and for those still capped the same per model.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING, Any

import pytest

from onelens_claude.api.endpoints import PRODUCTS_WITHOUT_FILTER
from onelens_claude.ledger.planning import plan_backfill
from tests.organizations import organization
from tests.worlds import days

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.worlds import World

LAST = dt.date(2026, 11, 19)
NAMES = {"projects": "chat_projects"}
"""Last part of a path to the endpoint's name, where it is another one."""
BASE_ROW = "day,user_id,product,model,context_window,inference_geo,speed"


def asked(here: World) -> Counter[str]:
    """Count what the server was asked, by endpoint."""
    parts = [path.split("?")[0].rsplit("/", 1)[1] for path in here.requests()]
    return Counter(NAMES.get(part, part) for part in parts)


def fewest(here: World, first: dt.date, last: dt.date = LAST) -> Counter[str]:
    """Return the fewest requests per endpoint that bring all rows of the days."""
    span = (last - first).days + 1
    edges = [first + dt.timedelta(days=n) for n in [*range(0, span, 31), span]]
    reports: Counter[str] = Counter()
    for start, end in pairwise(edges):
        for name in ("user_cost_report", "user_usage_report"):
            reports[name] += max(1, ceil(base_rows(here, name, start, end) / 1000))
        for name in ("cost_report", "usage_report"):
            reports[name] += bucket_pages(here, name, start, end)
    by_day = dict.fromkeys(("users", "chat_projects", "skills", "connectors"), span)  # fewer than 1000 rows a day
    return Counter(by_day) + reports + Counter(summaries=len(edges) - 1)


def base_rows(here: World, name: str, start: dt.date, end: dt.date) -> int:
    """Count the user rows of a window as `limit` counts them: cost type and token type do not multiply them."""
    topic = "costs" if name == "user_cost_report" else "usage"
    last = end - dt.timedelta(days=1)
    rows = here.truth("acme", topic, str(start), str(last), by=BASE_ROW)["rows"]
    return sum(row["user_id"] is not None for row in rows)


def bucket_pages(here: World, name: str, start: dt.date, end: dt.date) -> int:
    """Count the total, the detail, and the pieces of a detail that reaches the cap."""
    topic = "costs" if name == "cost_report" else "usage"
    by = "day,product,model,context_window,inference_geo,speed" + (",cost_type,token_type" if topic == "costs" else "")
    rows = here.truth("acme", topic, str(start), str(end - dt.timedelta(days=1)), by=by)["rows"]
    if not is_capped(rows):
        return 2
    pages = 3
    for product in {row["product"] for row in rows} - {None, *PRODUCTS_WITHOUT_FILTER}:
        of_product = [row for row in rows if row["product"] == product]
        pages += 1
        if is_capped(of_product):
            pages += 1 + len({row["model"] for row in of_product} - {None})
    return pages


def is_capped(rows: list[dict[str, Any]]) -> bool:
    return max(Counter(row["day"] for row in rows).values(), default=0) >= 100


def backfill(here: World, first: dt.date, last: dt.date = LAST) -> None:
    """Land every endpoint, as one run does."""
    onelens = here.onelens
    for endpoint in here.settings.endpoints():
        landing = onelens.landing(endpoint.name)
        landing.land(endpoint, dict.fromkeys(["acme"], days(str(first), str(last))), run_id="run")


def plan(here: World, first: dt.date, *, known: bool) -> tuple[Counter[str], set[str]]:
    """Return the planned requests per endpoint, and which are not exact."""
    settings = here.settings
    with here.onelens.warehouse().newest_reader() as connection:
        planned = plan_backfill(
            connection if known else None, settings.organizations, settings.endpoints(), (first, LAST), 60
        )
    return Counter({one.endpoint: one.requests for one in planned}), {
        one.endpoint for one in planned if not one.is_exact
    }


@pytest.mark.parametrize("span", [1, 31, 32, 90, 150])
def test_a_backfill_asks_no_more_than_what_is_needed_and_a_plan_with_known_rows_says_exactly_that(
    make_world: Callable[..., World], span: int
) -> None:
    here = make_world({"acme": organization(users=3, first_day=dt.date(2026, 1, 1))})
    first = LAST - dt.timedelta(days=span - 1)
    least, not_exact = plan(here, first, known=False)
    backfill(here, first)
    found = asked(here)
    assert found == fewest(here, first)
    assert not_exact == found.keys() - {"summaries"}
    assert all(least[name] <= found[name] for name in found)
    assert plan(here, first, known=True) == (found, set())


def test_users_that_fill_several_pages_make_the_plan_a_least_until_they_are_known(
    make_world: Callable[..., World],
) -> None:
    here = make_world({"acme": organization(users=60, first_day=dt.date(2026, 10, 20))})
    first = dt.date(2026, 10, 20)
    least, _ = plan(here, first, known=False)
    backfill(here, first)
    found = asked(here)
    pages = ("user_cost_report", "user_usage_report")
    assert all(found[name] == fewest(here, first)[name] > least[name] for name in pages)
    assert plan(here, first, known=True) == (found, set())  # also of answers that hit the cap and came in pieces


@pytest.mark.parametrize("lag", [2, 4])
def test_engagement_that_comes_late_costs_one_request_more_per_endpoint_in_a_whole_backfill(
    make_world: Callable[..., World], lag: int
) -> None:
    here = make_world({"acme": organization(users=3, engagement_lag_days=lag, first_day=dt.date(2026, 10, 1))})
    first = LAST - dt.timedelta(days=30)
    backfill(here, first)
    engagement = fewest(here, first, LAST - dt.timedelta(days=lag - 1))
    reports = fewest(here, first)
    least = sum(reports[name] if name.endswith("report") else engagement[name] for name in reports)
    assert asked(here).total() == least + sum(not name.endswith("report") for name in reports)


def test_nothing_else_is_on_its_way_while_the_newest_day_is_asked_for(make_world: Callable[..., World]) -> None:
    here = make_world({"acme": organization(users=3, engagement_lag_days=6)})
    here.land("users", "2026-11-13", "2026-11-19")  # the 13th and 14th are there
    assert asked(here) == {"users": 3}


def test_before_ten_in_the_morning_engagement_of_yesterday_is_not_asked_for(
    make_world: Callable[..., World], set_now: Callable[[str], None]
) -> None:
    here = make_world()
    set_now("2026-11-20T09:59:00Z")
    backfill(here, LAST)
    assert set(asked(here)) == {"user_usage_report", "user_cost_report", "usage_report", "cost_report"}
    set_now("2026-11-20T10:00:00Z")
    backfill(here, LAST)
    assert asked(here)["users"] == 1


def test_a_key_that_is_refused_costs_one_request_per_endpoint(make_world: Callable[..., World]) -> None:
    here = make_world()
    here.server.api.tenants[0].access_enabled = False
    backfill(here, LAST - dt.timedelta(days=60))
    assert asked(here).total() == 9
