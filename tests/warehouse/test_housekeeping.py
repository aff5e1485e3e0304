"""What the raw store may forget, and what it must not."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from onelens_claude.fake_api import Revision
from onelens_claude.warehouse.housekeeping import tidy

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.worlds import World

DAY = "2026-11-13"


def pulls(here: World) -> list[int]:
    return [row[0] for row in here.query("select pull_sequence from claude_raw.pulls order by 1")]


@pytest.fixture
def repeated(make_world: Callable[..., World], set_now: Callable[[str], None]) -> World:
    """Return a place where one day was pulled six times: twice the same, a revision, thrice the same."""
    here = make_world()
    for number in range(6):
        set_now(f"2026-11-{20 + number}T12:00:00Z")
        if number == 2:
            here.server.api.tenants[0].organization.add_revision(Revision(dt.date.fromisoformat(DAY), "up"))
        here.land("user_cost_report", DAY)
    set_now("2027-06-01T12:00:00Z")
    return here


def test_the_first_each_change_and_the_newest_stay(repeated: World) -> None:
    assert pulls(repeated) == [1, 2, 3, 4, 5, 6]
    done = tidy(repeated.onelens.warehouse(), keep_days=90)
    assert done.pulls_removed == 3
    assert pulls(repeated) == [1, 3, 6]
    for table in ("user_cost_report", "user_cost_report_rows"):
        held = repeated.query(f"select count(distinct pull_id) from claude_raw.{table}")
        assert held == [(3,)]


def test_what_was_known_at_any_moment_is_still_known(repeated: World) -> None:
    def known_at(moment: str) -> list[tuple[object, ...]]:
        return repeated.query(
            """select actor_user_id, product, model, token_type, amount from claude_raw.user_cost_report_rows
            where pull_id = (select arg_max(pull_id, (fetched_at, pull_sequence)) from claude_raw.pulls
                where fetched_at <= ?::timestamp) order by all""",
            moment,
        )

    moments = [f"2026-11-{20 + number} 13:00:00" for number in range(6)]
    before = [known_at(moment) for moment in moments]
    tidy(repeated.onelens.warehouse(), keep_days=90)
    assert [known_at(moment) for moment in moments] == before
    assert before[0] != before[5]


def test_young_pulls_stay(repeated: World, set_now: Callable[[str], None]) -> None:
    set_now("2026-11-27T12:00:00Z")
    assert tidy(repeated.onelens.warehouse(), keep_days=90).pulls_removed == 0
    assert pulls(repeated) == [1, 2, 3, 4, 5, 6]


def test_a_day_that_became_empty_and_stayed_so_keeps_the_moment_it_did(
    make_world: Callable[..., World], set_now: Callable[[str], None]
) -> None:
    here = make_world()
    for number in range(4):
        set_now(f"2026-11-{20 + number}T12:00:00Z")
        if number == 1:
            here.server.api.tenants[0].organization.add_revision(Revision(dt.date.fromisoformat(DAY), "empty"))
        here.land("user_cost_report", DAY)
    set_now("2027-06-01T12:00:00Z")
    tidy(here.onelens.warehouse(), keep_days=90)
    assert pulls(here) == [1, 2, 4]


def test_a_window_is_removed_only_as_a_whole(make_world: Callable[..., World], set_now: Callable[[str], None]) -> None:
    here = make_world()
    for number in range(3):
        set_now(f"2026-11-{20 + number}T12:00:00Z")
        here.land("user_cost_report", "2026-11-12", DAY)
    here.land("user_cost_report", DAY)
    set_now("2027-06-01T12:00:00Z")
    tidy(here.onelens.warehouse(), keep_days=90)
    assert pulls(here) == [1, 3, 4]


def test_the_file_gives_its_space_back_and_still_loads(repeated: World, set_now: Callable[[str], None]) -> None:
    with repeated.onelens.warehouse().writer() as connection:
        connection.execute("create table ballast as select hash(range) as h from range(2000000)")
        connection.execute("drop table ballast")
    done = tidy(repeated.onelens.warehouse(), keep_days=90)
    assert done.bytes_after < done.bytes_before
    set_now("2026-11-30T12:00:00Z")
    repeated.land("user_cost_report", DAY)
    assert pulls(repeated)[-1] == 7
