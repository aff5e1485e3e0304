"""Late, forbidden, failed, never asked, incomplete, gaps and complete are told apart; an empty day is complete."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest
from places import days, organization

from onelens_claude.clock import naive_utc, utc_now
from onelens_claude.endpoints import ENDPOINTS
from onelens_claude.fake_api import Fault
from onelens_claude.status import State, all_statuses, endpoint_status

if TYPE_CHECKING:
    from places import Place

    from onelens_claude.status import EndpointStatus


def status(here: Place, endpoint: str = "user_cost_report", name: str = "acme") -> EndpointStatus:
    with here.onelens.warehouse().writer() as connection:
        return endpoint_status(connection, name, ENDPOINTS[endpoint], utc_now())


def test_what_was_never_asked_for_is_told_from_gaps(place):
    here = place()
    one = status(here)
    assert (one.state, one.is_complete, one.complete_through, one.in_words()) == (
        State.NEVER_PULLED, False, None, "acme: never pulled (run a backfill)",
    )  # fmt: skip


def test_everything_up_to_the_newest_possible_day_is_complete(place):
    here = place()
    here.land("user_cost_report", "2026-11-01", "2026-11-19")
    one = status(here)
    assert (one.state, one.is_complete, one.first_day, one.complete_through) == (
        State.COMPLETE,
        True,
        days("2026-11-01", "2026-11-01")[0],
        dt.date(2026, 11, 19),
    )
    assert (one.gaps, one.provisional_days, one.last_fetched_at, one.reason) == (
        (),
        19,
        naive_utc(utc_now()),
        "",
    )
    assert one.in_words() == "acme: complete, complete up to 2026-11-19"


def test_empty_days_are_complete(place):
    here = place({"acme": organization(first_day=dt.date(2026, 11, 19))})
    here.land("user_cost_report", "2026-11-01", "2026-11-19")
    assert status(here).state is State.COMPLETE


def test_missing_days_are_gaps(place):
    here = place()
    here.land("user_cost_report", "2026-11-10", "2026-11-12")
    here.land("user_cost_report", "2026-11-15", "2026-11-19")
    one = status(here)
    assert (one.state, one.is_complete, one.complete_through) == (State.GAPS, False, dt.date(2026, 11, 12))
    assert one.gaps == tuple(days("2026-11-13", "2026-11-14"))
    assert one.in_words() == "acme: gaps, complete up to 2026-11-12, missing 2026-11-13..2026-11-14 (2 days)"


def test_days_that_are_not_aggregated_yet_are_late_and_nothing_is_wrong(place):
    here = place({"acme": organization(engagement_lag_days=4)})
    here.land("users", "2026-11-10", "2026-11-19")
    one = status(here, "users")
    assert (one.state, one.is_complete, one.complete_through, one.gaps) == (State.LATE, True, dt.date(2026, 11, 16), ())
    assert "is not available yet" in one.reason


def test_days_that_stay_away_too_long_become_gaps(place):
    here = place({"acme": organization(engagement_lag_days=9)})
    here.land("users", "2026-11-08", "2026-11-19")
    one = status(here, "users")
    assert one.state is State.GAPS
    assert one.gaps[0] == dt.date(2026, 11, 12)
    assert not one.is_complete


def test_a_hole_behind_late_days_is_a_gap(place):
    here = place({"acme": organization(engagement_lag_days=3)})
    here.land("users", "2026-11-10", "2026-11-12")
    here.land("users", "2026-11-15", "2026-11-19")
    one = status(here, "users")
    assert (one.state, one.gaps) == (State.GAPS, tuple(days("2026-11-13", "2026-11-14")))


def test_answers_that_do_not_reach_the_end_of_the_day_are_incomplete(place):
    here = place({"acme": organization(cost_lag=dt.timedelta(hours=30))})
    here.land("user_cost_report", "2026-11-10", "2026-11-19")
    one = status(here)
    assert (one.state, one.is_complete, one.complete_through) == (State.INCOMPLETE, True, dt.date(2026, 11, 18))


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("forbidden", State.FORBIDDEN),
        ("unauthorized", State.FORBIDDEN),
        ("error_500", State.FAILED),
        ("bad_amount", State.FAILED),
    ],
)
def test_a_newest_attempt_that_failed_is_told_with_its_reason(place, kind, state):
    here = place()
    here.land("user_cost_report", "2026-11-10", "2026-11-18")
    here.server.api.faults.add(Fault(kind, times=None))
    here.land("user_cost_report", "2026-11-19")
    one = status(here)
    assert (one.state, one.is_complete, one.complete_through) == (state, False, dt.date(2026, 11, 18))
    assert one.reason.startswith("acme: user_cost_report 2026-11-19: ")
    assert "req_" in one.reason


def test_a_failure_that_was_mended_is_no_state(place):
    here = place(faults=[Fault("forbidden")])
    here.land("user_cost_report", "2026-11-10", "2026-11-19")
    here.land("user_cost_report", "2026-11-10", "2026-11-19")
    assert (status(here).state, status(here).reason) == (State.COMPLETE, "")


def test_days_stay_provisional_until_they_can_no_longer_change(place, set_now):
    here = place()
    here.land("user_cost_report", "2026-11-01", "2026-11-19")
    set_now("2026-12-10T12:00:00Z")
    here.land("user_cost_report", "2026-11-01", "2026-11-19")
    assert status(here).provisional_days == 10  # 1 to 9 November ended 30 days and more before this pull


def test_every_organisation_and_endpoint_has_a_status(place):
    here = place({"acme": organization(), "globex": organization("sk-ant-api01-globex", seed=2)})
    here.land("users", "2026-11-19", organizations=("globex",))
    with here.onelens.warehouse().writer() as connection:
        found = all_statuses(connection, here.settings, utc_now())
    assert len({(one.organization_id, one.endpoint) for one in found}) == len(found) >= 18
    assert [(one.organization_id, one.endpoint) for one in found if one.state is not State.NEVER_PULLED] == [
        ("globex", "users")
    ]
