"""Late, forbidden, failed, never asked, incomplete, gaps and complete are told apart; an empty day is complete."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from onelens_claude.api.endpoints import ENDPOINTS
from onelens_claude.clock import naive_utc, utc_now
from onelens_claude.fake_api import Fault
from onelens_claude.ledger.due import days_to_pull
from onelens_claude.ledger.status import all_statuses, endpoint_status, in_spans, missing_days
from onelens_claude.states import EndpointState
from tests.organizations import organization
from tests.worlds import days

if TYPE_CHECKING:
    from onelens_claude.ledger.status import EndpointStatus
    from tests.worlds import World


def status(here: World, endpoint: str = "user_cost_report", name: str = "acme") -> EndpointStatus:
    with here.onelens.warehouse().writer() as connection:
        return endpoint_status(connection, name, ENDPOINTS[endpoint], utc_now())


def test_what_was_never_asked_for_is_told_from_gaps(make_world):
    here = make_world()
    one = status(here)
    assert (one.state, one.is_complete, one.complete_through, one.in_words()) == (
        EndpointState.NEVER_PULLED, False, None, "acme: never pulled (run a backfill)",
    )  # fmt: skip


def test_everything_up_to_the_newest_possible_day_is_complete(make_world):
    here = make_world()
    here.land("user_cost_report", "2026-11-01", "2026-11-19")
    one = status(here)
    assert (one.state, one.is_complete, one.first_day, one.complete_through) == (
        EndpointState.COMPLETE,
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


def test_empty_days_are_complete(make_world):
    here = make_world({"acme": organization(first_day=dt.date(2026, 11, 19))})
    here.land("user_cost_report", "2026-11-01", "2026-11-19")
    assert status(here).state is EndpointState.COMPLETE


def test_missing_days_are_gaps(make_world):
    here = make_world()
    here.land("user_cost_report", "2026-11-10", "2026-11-12")
    here.land("user_cost_report", "2026-11-15", "2026-11-19")
    one = status(here)
    assert (one.state, one.is_complete, one.complete_through) == (EndpointState.GAPS, False, dt.date(2026, 11, 12))
    assert one.gaps == tuple(days("2026-11-13", "2026-11-14"))
    assert one.in_words() == "acme: gaps, complete up to 2026-11-12, missing 2026-11-13..2026-11-14 (2 days)"


def test_days_that_are_not_aggregated_yet_are_late_and_nothing_is_wrong(make_world):
    here = make_world({"acme": organization(engagement_lag_days=4)})
    here.land("users", "2026-11-10", "2026-11-19")
    one = status(here, "users")
    assert (one.state, one.is_complete, one.complete_through, one.gaps) == (
        EndpointState.LATE,
        True,
        dt.date(2026, 11, 16),
        (),
    )
    assert "is not available yet" in one.reason


def test_days_that_stay_away_too_long_become_gaps(make_world):
    here = make_world({"acme": organization(engagement_lag_days=9)})
    here.land("users", "2026-11-08", "2026-11-19")
    one = status(here, "users")
    assert one.state is EndpointState.GAPS
    assert one.gaps[0] == dt.date(2026, 11, 12)
    assert not one.is_complete


@pytest.mark.parametrize("endpoint", ["user_cost_report", "users"])
@pytest.mark.parametrize(
    ("moment", "state"),
    [
        ("2026-11-21T10:00:00Z", EndpointState.DUE),
        ("2026-11-21T11:59:59Z", EndpointState.DUE),
        ("2026-11-21T12:00:00Z", EndpointState.GAPS),
    ],
)
def test_yesterday_is_due_until_noon_and_a_gap_from_then_on(make_world, set_now, endpoint, moment, state):
    here = make_world()
    here.land(endpoint, "2026-11-10", "2026-11-19")
    set_now(moment)
    one = status(here, endpoint)
    assert (one.state, one.is_complete, one.complete_through) == (
        state,
        state is EndpointState.DUE,
        dt.date(2026, 11, 19),
    )
    assert one.gaps == (() if state is EndpointState.DUE else (dt.date(2026, 11, 20),))


def test_after_midnight_cost_is_due_and_engagement_complete_because_its_day_is_not_aggregated(make_world, set_now):
    here = make_world()
    for endpoint in ("user_cost_report", "users"):
        here.land(endpoint, "2026-11-10", "2026-11-19")
    set_now("2026-11-21T00:00:00Z")
    assert [status(here, one).state for one in ("user_cost_report", "users")] == [
        EndpointState.DUE,
        EndpointState.COMPLETE,
    ]


def test_a_morning_hides_no_older_gap_and_no_refusal(make_world, set_now):
    here = make_world()
    here.land("user_cost_report", "2026-11-10", "2026-11-18")
    set_now("2026-11-21T06:00:00Z")
    one = status(here)
    assert (one.state, one.gaps) == (EndpointState.GAPS, (dt.date(2026, 11, 19),))
    here.land("user_cost_report", "2026-11-19")
    here.server.api.faults.add(Fault("forbidden", times=None))
    here.land("user_cost_report", "2026-11-20")
    assert status(here).state is EndpointState.FORBIDDEN


def test_each_endpoint_is_late_in_its_own_words(make_world):
    here = make_world({"acme": organization(engagement_lag_days=4)})
    for endpoint in ("users", "skills"):
        here.land(endpoint, "2026-11-10", "2026-11-19")
        one = status(here, endpoint)
        assert (one.state, one.reason.startswith(f"acme: {endpoint} ")) == (EndpointState.LATE, True)
    failed = here.query("select endpoint, error_message, request_id from claude_raw.pulls where status = 'failed'")
    assert all(f"acme: {endpoint} " in message for endpoint, message, _ in failed)
    assert len({request_id for *_, request_id in failed}) == len(failed) >= 2


@pytest.mark.parametrize("endpoint", ["users", "summaries", "cost_report"])
def test_days_before_the_apis_oldest_are_no_gaps_and_not_due(make_world, endpoint):
    here = make_world(faults=[Fault("too_early", value="2026-11-14", times=None)])
    here.land(endpoint, "2026-11-01", "2026-11-19")
    one = status(here, endpoint)
    assert (one.state, one.gaps, one.complete_through) == (EndpointState.COMPLETE, (), dt.date(2026, 11, 19))
    with here.onelens.warehouse().writer() as connection:
        assert days_to_pull(connection, "acme", ENDPOINTS[endpoint], revision_days=30) == []
        began = utc_now() - dt.timedelta(hours=1)
        span = (dt.date(2026, 11, 1), dt.date(2026, 11, 19))
        acme = here.settings.organization("acme")
        assert missing_days(connection, acme, ENDPOINTS[endpoint], span, since=began, now=utc_now()) is None


def test_what_the_api_no_longer_holds_is_no_gap(make_world, set_now):
    """A year on: days that were never brought are out of reach, days that are stored stay stored."""
    here = make_world()
    here.land("user_cost_report", "2026-11-01", "2026-11-05")
    here.land("user_cost_report", "2026-11-08", "2026-11-19")
    set_now("2027-11-14T12:00:00Z")  # 365 days back is 14 November 2026
    one = status(here)
    assert one.gaps[0] == dt.date(2026, 11, 20)
    assert one.complete_through == dt.date(2026, 11, 19)
    assert one.first_day == dt.date(2026, 11, 1)


def test_days_before_backfill_start_are_no_gaps(make_world):
    here = make_world()
    here.land("user_cost_report", "2026-11-01", "2026-11-05")
    here.land("user_cost_report", "2026-11-08", "2026-11-19")
    with here.onelens.warehouse().writer() as connection:
        one = endpoint_status(
            connection, "acme", ENDPOINTS["user_cost_report"], utc_now(), first_wanted=dt.date(2026, 11, 7)
        )
    assert one.gaps == (dt.date(2026, 11, 7),)


def test_an_endpoint_that_a_killed_backfill_did_not_reach_has_the_gaps_of_the_others(make_world):
    here = make_world()
    here.land("chat_projects", "2026-11-10", "2026-11-19")
    one = status(here)
    assert (one.state, one.gaps) == (EndpointState.NEVER_PULLED, tuple(days("2026-11-10", "2026-11-19")))
    assert status(here, "plugins").gaps == ()  # optional: begins when it is switched on


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ([1], "2026-11-01 (1 day)"),
        ([1, 2, 4], "2026-11-01..2026-11-02, 2026-11-04 (3 days)"),
        ([1, 3, 5, 7, 9, 11], "2026-11-01, 2026-11-03, 2026-11-05, 2026-11-07 and 2 more spans (6 days)"),
    ],
)
def test_days_are_told_in_spans(numbers, words):
    assert in_spans([dt.date(2026, 11, number) for number in numbers]) == words


def test_what_a_backfill_did_not_bring_is_told_with_the_reason_and_late_days_are_not_missing(make_world, set_now):
    here = make_world({"acme": organization(engagement_lag_days=3)})
    here.land("users", "2026-11-10", "2026-11-12")
    began = utc_now() + dt.timedelta(hours=1)
    set_now("2026-11-20T14:00:00Z")
    here.server.api.faults.add(Fault("error_500", endpoint="users", day=dt.date(2026, 11, 15), times=None))
    here.land("users", "2026-11-13", "2026-11-19")
    span = (dt.date(2026, 11, 12), dt.date(2026, 11, 19))
    with here.onelens.warehouse().writer() as connection:
        acme = here.settings.organization("acme")
        missing = missing_days(connection, acme, ENDPOINTS["users"], span, since=began, now=utc_now())
        assert (
            missing_days(connection, acme, ENDPOINTS["users"], (span[1], span[1]), since=began, now=utc_now()) is None
        )
    assert missing.days == (dt.date(2026, 11, 12), dt.date(2026, 11, 15))  # the 12th was pulled before this backfill
    assert missing.in_words().startswith("acme: users 2026-11-12, 2026-11-15 (2 days): 500 api_error: ")


def test_a_hole_behind_late_days_is_a_gap(make_world):
    here = make_world({"acme": organization(engagement_lag_days=3)})
    here.land("users", "2026-11-10", "2026-11-12")
    here.land("users", "2026-11-15", "2026-11-19")
    one = status(here, "users")
    assert (one.state, one.gaps) == (EndpointState.GAPS, tuple(days("2026-11-13", "2026-11-14")))


def test_answers_that_do_not_reach_the_end_of_the_day_are_incomplete(make_world):
    here = make_world({"acme": organization(cost_lag=dt.timedelta(hours=30))})
    here.land("user_cost_report", "2026-11-10", "2026-11-19")
    one = status(here)
    assert (one.state, one.is_complete, one.complete_through) == (EndpointState.INCOMPLETE, True, dt.date(2026, 11, 18))


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("forbidden", EndpointState.FORBIDDEN),
        ("unauthorized", EndpointState.FORBIDDEN),
        ("error_500", EndpointState.FAILED),
        ("bad_amount", EndpointState.FAILED),
    ],
)
def test_a_newest_attempt_that_failed_is_told_with_its_reason(make_world, kind, state):
    here = make_world()
    here.land("user_cost_report", "2026-11-10", "2026-11-18")
    here.server.api.faults.add(Fault(kind, times=None))
    here.land("user_cost_report", "2026-11-19")
    one = status(here)
    assert (one.state, one.is_complete, one.complete_through) == (state, False, dt.date(2026, 11, 18))
    assert one.reason.startswith("acme: user_cost_report 2026-11-19: ")
    assert "req_" in one.reason


def test_a_failure_that_was_mended_is_no_state(make_world):
    here = make_world(faults=[Fault("forbidden")])
    here.land("user_cost_report", "2026-11-10", "2026-11-19")
    here.land("user_cost_report", "2026-11-10", "2026-11-19")
    assert (status(here).state, status(here).reason) == (EndpointState.COMPLETE, "")


def test_days_stay_provisional_until_they_can_no_longer_change(make_world, set_now):
    here = make_world()
    here.land("user_cost_report", "2026-11-01", "2026-11-19")
    set_now("2026-12-10T12:00:00Z")
    here.land("user_cost_report", "2026-11-01", "2026-11-19")
    assert status(here).provisional_days == 10  # 1 to 9 November ended 30 days and more before this pull


def test_every_organisation_and_endpoint_has_a_status(make_world):
    here = make_world({"acme": organization(), "globex": organization("sk-ant-api01-globex", seed=2)})
    here.land("users", "2026-11-19", organizations=("globex",))
    with here.onelens.warehouse().writer() as connection:
        found = all_statuses(connection, here.settings, utc_now())
    assert len({(one.organization_id, one.endpoint) for one in found}) == len(found) >= 18
    assert [(one.organization_id, one.endpoint) for one in found if one.state is not EndpointState.NEVER_PULLED] == [
        ("globex", "users")
    ]
