"""Finding revised days by asking little: what a probe sees, and what it costs."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from onelens_claude.fake_api import Fault, Revision
from onelens_claude.ledger.revisions import revised_days, revised_windows

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.worlds import World

FIRST, LAST = "2026-11-01", "2026-11-19"
REPORTS = ("user_usage_report", "user_cost_report", "usage_report", "cost_report")


@pytest.fixture
def published(make_world: Callable[..., World]) -> World:
    """Return a place that holds and publishes nineteen days of cost and usage."""
    here = make_world()
    for endpoint in REPORTS:
        here.land(endpoint, FIRST, LAST)
    here.onelens.warehouse().publish()
    here.server.api.log.clear()
    return here


def probe(here: World, *, deep_check: bool = False) -> list[dt.date]:
    return revised_days(here.onelens.warehouse(), here.client(), revision_days=30, deep_check=deep_check)


def revise(here: World, *revisions: Revision) -> None:
    for revision in revisions:
        here.server.api.tenants[0].organization.add_revision(revision)


def test_a_quiet_day_costs_four_requests_and_finds_nothing(published: World) -> None:
    assert probe(published) == []
    asked = Counter(path.split("?")[0].rsplit("/", 1)[1] for path in published.requests())
    assert asked == {"cost_report": 2, "usage_report": 2}


def test_a_damaged_serving_copy_is_a_warning_and_not_the_end_of_every_run(
    published: World, caplog: pytest.LogCaptureFixture
) -> None:
    warehouse = published.onelens.warehouse()
    warehouse.serving_path.write_bytes(b"damaged " * 10_000)
    assert revised_windows(warehouse, published.client(), revision_days=30) == []
    assert f"Revised days cannot be looked for in {warehouse.serving_path}: " in caplog.text


def test_the_deep_check_asks_once_for_the_whole_week_and_by_day_only_where_a_user_differs(
    published: World, set_now: Callable[[str], None]
) -> None:
    set_now("2026-11-22T12:00:00Z")  # the week of that day is 7 to 13 November
    assert probe(published, deep_check=True) == []
    deep = published.requests("user_cost_report")
    assert len(deep) == 1
    assert "bucket_width" not in deep[0]
    with published.onelens.warehouse().writer() as connection:  # as if another user had spent it
        connection.execute(
            "update claude_raw.user_cost_report_rows set actor_user_id = 'user_other' "
            "where activity_date between '2026-11-10' and '2026-11-18'"
        )
    published.onelens.warehouse().publish()
    assert probe(published, deep_check=True) == [dt.date(2026, 11, day) for day in range(10, 14)]
    whole, by_day = published.requests("user_cost_report")[1:]
    assert "bucket_width" not in whole
    assert "bucket_width=1d" in by_day


def test_a_hole_in_what_is_held_makes_no_further_probe(make_world: Callable[..., World]) -> None:
    here = make_world()
    for endpoint in REPORTS:
        for first, last in (("2026-11-01", "2026-11-04"), ("2026-11-07", "2026-11-09"), ("2026-11-12", LAST)):
            here.land(endpoint, first, last)
    here.onelens.warehouse().publish()
    here.server.api.log.clear()
    assert probe(here) == []
    assert len(here.requests()) == 4


def test_a_deep_check_that_is_refused_does_not_lose_what_the_probes_found(published: World) -> None:
    revise(published, Revision(dt.date(2026, 11, 4), "up"))
    published.server.api.faults.add(Fault("forbidden", endpoint="user_cost_report", times=None))
    assert probe(published, deep_check=True) == [dt.date(2026, 11, 4)]


def test_exactly_the_days_that_changed_are_found(published: World) -> None:
    revise(
        published,
        Revision(dt.date(2026, 11, 17), "up"),
        Revision(dt.date(2026, 11, 13), "down"),
        Revision(dt.date(2026, 11, 4), "empty"),
        Revision(dt.date(2026, 11, 10), "new_user"),
    )
    assert probe(published) == [dt.date(2026, 11, day) for day in (4, 10, 13, 17)]


def test_after_the_changed_days_are_pulled_again_nothing_is_found(published: World) -> None:
    revise(published, Revision(dt.date(2026, 11, 13), "up"))
    assert probe(published) == [dt.date(2026, 11, 13)]
    for endpoint in REPORTS:
        published.land(endpoint, "2026-11-13")
    published.onelens.warehouse().publish()
    assert probe(published) == []


def test_a_day_that_was_never_pulled_is_not_called_revised(published: World, set_now: Callable[[str], None]) -> None:
    set_now("2026-11-22T12:00:00Z")
    assert probe(published) == []


def test_a_day_beyond_the_revision_window_is_left_alone(published: World, set_now: Callable[[str], None]) -> None:
    revise(published, Revision(dt.date(2026, 11, 2), "up"))
    set_now("2026-12-05T12:00:00Z")
    assert probe(published) == []


def test_a_change_that_cancels_out_in_the_totals_is_found_by_the_deep_check_within_a_cycle(
    published: World, set_now: Callable[[str], None]
) -> None:
    """The organisation's answers stay as they are; only who spent what is told otherwise."""
    with published.onelens.warehouse().writer() as connection:
        day = connection.execute(
            "select activity_date from claude_raw.user_cost_report_rows group by all "
            "having count(distinct actor_user_id) > 1 order by 1 desc limit 1"
        ).fetchone()[0]
        users = connection.execute(
            "select distinct actor_user_id from claude_raw.user_cost_report_rows where activity_date = ? order by 1",
            [day],
        ).fetchall()
        connection.execute(
            "update claude_raw.user_cost_report_rows set actor_user_id = ? "
            "where activity_date = ? and actor_user_id = ?",
            [users[0][0], day, users[1][0]],
        )
    published.onelens.warehouse().publish()
    assert probe(published) == []
    found = []
    for later in range(4):
        set_now(f"2026-11-{20 + later}T12:00:00Z")
        found += probe(published, deep_check=True)
    assert day in found
