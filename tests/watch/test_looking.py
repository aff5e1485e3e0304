"""One look: what it asks and keeps, that it is no pull, how many requests it sends, and whose trouble is whose."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from onelens_claude.errors import ForbiddenError, RateLimitedError, ServerError
from onelens_claude.fake_api import Fault
from onelens_claude.watch.looking import Outcome, look_at_today
from tests.organizations import organization

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.worlds import World

TODAY = "2026-11-20"


def look(here: World, **options: Any) -> list[Outcome]:
    return look_at_today(here.settings, here.onelens.warehouse(), here.onelens.watching_client, **options)


def kept_of(here: World, name: str, query: str) -> Decimal:
    return here.query(
        """select sum(amount) from claude_raw.watch_amounts
        where organization_id = ? and query = ? and starting_at >= timestamp '2026-11-20'""",
        name,
        query,
    )[0][0]


def asked_since(here: World, before: int) -> int:
    return len(here.requests()) - before


@pytest.fixture
def here(make_world: Callable[..., World], set_now: Callable[[str], None]) -> World:
    """Two organisations at 16:00, when the data reach 12:00."""
    served = make_world(
        {"acme": organization(users=40), "globex": organization("sk-ant-api01-globex", seed=3, users=20)}
    )
    set_now(f"{TODAY}T16:00:00Z")
    return served


def test_a_look_holds_todays_true_total_its_users_and_its_hours_and_keeps_every_answer(here: World) -> None:
    acme, _ = look(here)
    (truth,) = here.truth("acme", "days", TODAY, TODAY)["rows"]
    assert kept_of(here, "acme", "total") == Decimal(truth["amount"]) > 0
    assert kept_of(here, "acme", "users") == Decimal(truth["user_amount"]) > 0
    assert kept_of(here, "acme", "hours") == Decimal(truth["amount"])
    assert acme.error is None
    assert here.query("select distinct data_refreshed_at::varchar from claude_raw.watch_looks") == [
        (f"{TODAY} 12:00:00",)
    ]
    pages = here.query("select query, payload from claude_raw.watch_pages where organization_id = 'acme' order by 1")
    assert [name for name, _ in pages] == ["hours", "total", "users"]
    assert all(payload.startswith('{"data":[') for _, payload in pages)


def test_a_look_is_no_pull_and_no_day_is_held_by_it(here: World) -> None:
    look(here)
    assert here.query("select count(*) from claude_raw.pulls") == [(0,)]
    assert here.amount() == here.amount("cost_report") == 0


def test_within_an_hour_nobody_asks_again_and_each_organisation_is_asked_three_times_at_most(
    here: World, set_now: Callable[[str], None]
) -> None:
    for minute in range(0, 180, 20):
        before = len(here.requests())
        set_now(f"{TODAY}T{16 + minute // 60}:{minute % 60:02d}:00Z")
        outcomes = look(here)
        assert {one.is_due for one in outcomes} == {minute % 60 == 0}
        assert asked_since(here, before) == (6 if minute % 60 == 0 else 0)
    assert here.query("select count(*), count(distinct look_sequence) from claude_raw.watch_looks") == [(6, 6)]


def test_whoever_watches_at_the_same_time_doubles_neither_requests_nor_rows(here: World) -> None:
    outcomes: list[Outcome] = []
    watchers = [threading.Thread(target=lambda: outcomes.extend(look(here))) for _ in range(4)]
    for watcher in watchers:
        watcher.start()
    for watcher in watchers:
        watcher.join()
    assert sum(one.is_due for one in outcomes) == 2
    assert len(here.requests()) == 6
    assert here.query("select count(*) from claude_raw.watch_looks") == [(2,)]


@pytest.mark.parametrize(
    ("kind", "error", "requests"),
    [("forbidden", ForbiddenError, 1), ("rate_limited", RateLimitedError, 1),
     ("error_500", ServerError, 2)],
)  # fmt: skip
def test_a_refused_organisation_has_a_state_backs_off_and_holds_up_nobody(
    kind: str, error: type[Exception], requests: int, here: World, set_now: Callable[[str], None]
) -> None:
    acme_id = here.server.api.tenants[0].organization.organization_id
    here.server.api.faults.add(Fault(kind, organization=acme_id, times=None))
    looked = 0
    for hour in range(5):
        set_now(f"{TODAY}T{16 + hour}:00:00Z")
        acme, globex = look(here)
        assert globex.is_due
        assert globex.error is None
        if acme.is_due:
            looked += 1
            assert isinstance(acme.error, error)
    assert looked == 3  # at once, after one hour and after two more
    sent = [one for one in here.server.api.log if one.organization_id == acme_id]
    assert len(sent) == requests * looked
    failed = here.query(
        "select error_type, error_message, request_id from claude_raw.watch_looks where status = 'failed'"
    )
    assert len(failed) == looked
    assert all("acme: cost_report" in message and request_id in message for _, message, request_id in failed)


def test_an_answer_that_was_lost_on_its_way_is_asked_for_once_more_from_the_same_allowance(here: World) -> None:
    acme_id = here.server.api.tenants[0].organization.organization_id
    here.server.api.faults.add(Fault("error_500", organization=acme_id, times=1))
    acme, _ = look(here)
    assert acme.error is None
    assert [one.status for one in here.server.api.log if one.organization_id == acme_id] == [500, 200, 200]
    assert here.query(
        "select distinct query from claude_raw.watch_pages where organization_id = 'acme' order by 1"
    ) == [
        ("total",),
        ("users",),
    ]


def test_a_row_that_breaks_the_contract_keeps_nothing_of_the_look(here: World) -> None:
    here.server.api.faults.add(Fault("bad_amount", endpoint="user_cost_report", times=None))
    for outcome in look(here):
        assert "user_cost_report 2026-11-20 (users): amount" in str(outcome.error)
    assert here.query("select distinct status from claude_raw.watch_looks") == [("failed",)]
    assert here.query("select count(*) from claude_raw.watch_pages") == [(0,)]


def test_just_after_midnight_the_running_day_is_still_the_one_that_the_data_are_of(
    here: World, set_now: Callable[[str], None]
) -> None:
    set_now("2026-11-21T03:00:00Z")
    look(here)
    assert here.query("select distinct activity_date::varchar from claude_raw.watch_looks") == [(TODAY,)]
    (truth,) = here.truth("acme", "days", TODAY, TODAY)["rows"]
    assert kept_of(here, "acme", "users") == Decimal(truth["user_amount"]) > 0
