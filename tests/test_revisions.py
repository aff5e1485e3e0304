"""Finding revised days by asking little: what a probe sees, and what it costs."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from onelens_claude.fake_api import Revision
from onelens_claude.revisions import revised_days

if TYPE_CHECKING:
    from collections.abc import Callable

    from places import Place

FIRST, LAST = "2026-11-01", "2026-11-19"
REPORTS = ("user_usage_report", "user_cost_report", "usage_report", "cost_report")


@pytest.fixture
def published(place: Callable[..., Place]) -> Place:
    """Return a place that holds and publishes nineteen days of cost and usage."""
    here = place()
    for endpoint in REPORTS:
        here.land(endpoint, FIRST, LAST)
    here.onelens.warehouse().publish()
    here.server.api.log.clear()
    return here


def probe(here: Place, *, deep_check: bool = False) -> list[dt.date]:
    return revised_days(here.onelens.warehouse(), here.client(), revision_days=30, deep_check=deep_check)


def revise(here: Place, *revisions: Revision) -> None:
    for revision in revisions:
        here.server.api.tenants[0].organization.add_revision(revision)


def test_a_quiet_day_costs_four_requests_and_finds_nothing(published: Place) -> None:
    assert probe(published) == []
    asked = Counter(path.split("?")[0].rsplit("/", 1)[1] for path in published.requests())
    assert asked == {"cost_report": 2, "usage_report": 2}


def test_exactly_the_days_that_changed_are_found(published: Place) -> None:
    revise(
        published,
        Revision(dt.date(2026, 11, 17), "up"),
        Revision(dt.date(2026, 11, 13), "down"),
        Revision(dt.date(2026, 11, 4), "empty"),
        Revision(dt.date(2026, 11, 10), "new_user"),
    )
    assert probe(published) == [dt.date(2026, 11, day) for day in (4, 10, 13, 17)]


def test_after_the_changed_days_are_pulled_again_nothing_is_found(published: Place) -> None:
    revise(published, Revision(dt.date(2026, 11, 13), "up"))
    assert probe(published) == [dt.date(2026, 11, 13)]
    for endpoint in REPORTS:
        published.land(endpoint, "2026-11-13")
    published.onelens.warehouse().publish()
    assert probe(published) == []


def test_a_day_that_was_never_pulled_is_not_called_revised(published: Place, set_now: Callable[[str], None]) -> None:
    set_now("2026-11-22T12:00:00Z")
    assert probe(published) == []


def test_a_day_beyond_the_revision_window_is_left_alone(published: Place, set_now: Callable[[str], None]) -> None:
    revise(published, Revision(dt.date(2026, 11, 2), "up"))
    set_now("2026-12-05T12:00:00Z")
    assert probe(published) == []


def test_a_change_that_cancels_out_in_the_totals_is_found_by_the_deep_check_within_a_cycle(
    published: Place, set_now: Callable[[str], None]
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
