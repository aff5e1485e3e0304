"""Days that the API does not have yet or no longer: they are told apart, and the others of their window are loaded."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from onelens_claude.fake_api import Fault
from onelens_claude.fake_api.faults import ANSWER_FAULTS
from onelens_claude.landing.work import DayStatus
from onelens_claude.ledger.held import current_days
from tests.landing.landed import ledger, statuses
from tests.organizations import organization

# days that are not there yet


def test_days_not_there_yet_are_late_in_the_apis_own_words(make_world):
    here = make_world({"acme": organization(engagement_lag_days=4)})
    outcomes = here.land("users", "2026-11-10", "2026-11-19")
    assert statuses(outcomes) == ["loaded"] * 7 + ["late"] * 3
    assert all("The latest available date is 2026-11-16." in one.reason for one in outcomes[7:])
    failed = here.query("select error_type, latest_available_day from claude_raw.pulls where status = 'failed'")
    assert set(failed) == {("not_yet_available", dt.date(2026, 11, 16))}


def test_of_a_window_the_days_that_are_there_are_loaded(make_world):
    here = make_world({"acme": organization(engagement_lag_days=4)})
    outcomes = here.land("summaries", "2026-11-10", "2026-11-19")
    assert statuses(outcomes) == ["loaded"] * 7 + ["late"] * 3
    assert ledger(here) == [
        ("failed", "not_yet_available", dt.date(2026, 11, 17), dt.date(2026, 11, 20)),
        ("complete", None, dt.date(2026, 11, 10), dt.date(2026, 11, 17)),
    ]
    assert len(here.requests()) == 2


def test_a_fetch_time_that_goes_backwards_is_a_warning(make_world, set_now, caplog):
    here = make_world()
    set_now("2026-11-22T12:00:00Z")
    here.land("users", "2026-11-10")
    assert "backwards" not in caplog.text
    set_now("2026-11-20T12:00:00Z")
    here.land("users", "2026-11-10")
    assert "the newest pull was fetched at 2026-11-22 12:00 UTC" in caplog.text
    (newest,) = here.query(f"select pull_sequence from ({current_days()})")
    assert newest == (2,)


# days before the oldest


@pytest.mark.parametrize("endpoint", ["users", "chat_projects"])
def test_days_before_the_apis_oldest_are_unavailable_and_the_others_are_loaded(make_world, endpoint):
    """An organisation younger than the range: the days refused first do not stop the rest."""
    here = make_world(faults=[Fault("too_early", value="2026-11-14", times=None)])
    outcomes = here.land(endpoint, "2026-11-01", "2026-11-19")
    assert statuses(outcomes) == ["unavailable"] * 13 + ["loaded"] * 6
    assert all("the earliest available date 2026-11-14" in one.reason for one in outcomes[:13])
    assert ledger(here)[0] == ("failed", "too_early", dt.date(2026, 11, 1), dt.date(2026, 11, 14))
    assert len(here.requests()) == 7


def test_a_window_is_trimmed_to_the_days_the_api_has(make_world):
    here = make_world(
        {"acme": organization(engagement_lag_days=4)}, faults=[Fault("too_early", value="2026-11-12", times=None)]
    )
    outcomes = here.land("summaries", "2026-11-10", "2026-11-19")
    assert statuses(outcomes) == ["unavailable"] * 2 + ["loaded"] * 5 + ["late"] * 3
    assert sorted(ledger(here)) == [
        ("complete", None, dt.date(2026, 11, 12), dt.date(2026, 11, 17)),
        ("failed", "not_yet_available", dt.date(2026, 11, 17), dt.date(2026, 11, 20)),
        ("failed", "too_early", dt.date(2026, 11, 10), dt.date(2026, 11, 12)),
    ]


def test_a_window_refused_as_too_early_without_a_date_is_halved_until_the_others_are_loaded(make_world, monkeypatch):
    monkeypatch.setitem(
        ANSWER_FAULTS, "too_early", (400, "The requested range is older than the data of this organization.")
    )
    here = make_world(faults=[Fault("too_early", value="2026-10-08", times=None)])
    outcomes = here.land("cost_report", "2026-10-01", "2026-10-19")
    assert statuses(outcomes) == ["unavailable"] * 7 + ["loaded"] * 12


def test_a_shortened_window_that_fails_is_a_failure(make_world):
    here = make_world({"acme": organization(engagement_lag_days=4)}, faults=[Fault("html_200", times=None)])
    outcomes = here.land("summaries", "2026-11-10", "2026-11-19")
    assert {one.status for one in outcomes} == {DayStatus.FAILED}
    assert ledger(here, "error_type") == [("malformed_response",)]


def test_a_latest_day_that_moves_back_between_two_requests_is_followed(make_world):
    here = make_world({"acme": organization(engagement_lag_days=2)})
    api, lags = here.server.api, iter([2, 4, 4])
    real = type(api).answer

    def answer(*arguments: Any) -> Any:
        api.tenants[0].organization.engagement_lag_days = next(lags)
        return real(api, *arguments)

    api.answer = answer
    outcomes = here.land("summaries", "2026-11-10", "2026-11-19")
    assert statuses(outcomes) == ["loaded"] * 7 + ["late"] * 3


def test_when_no_day_of_a_window_is_there_all_are_unavailable(make_world):
    here = make_world({"acme": organization(engagement_lag_days=4)})
    assert set(statuses(here.land("summaries", "2026-11-18", "2026-11-19"))) == {"late"}
