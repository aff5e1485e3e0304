"""What the ledger answers: which days are held, by which pull, and since when."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from onelens_claude.api.endpoints import ENDPOINTS
from onelens_claude.ledger.held import HeldDay, first_expected_day, held_days, not_pulled_since

from .pulls import day, moment

COST = ENDPOINTS["user_cost_report"]


def held(connection: Any, first: str, last: str, organization: str = "acme") -> dict[str, str]:
    found = held_days(connection, organization, COST, day(first), day(last))
    return {f"{one:%m-%d}": f"{pull.fetched_at:%m-%d}" for one, pull in sorted(found.items())}


def test_nothing_is_held_before_the_first_pull(connection):
    assert held(connection, "11-01", "11-30") == {}
    assert first_expected_day(connection, "acme", COST) is None


def test_each_day_is_held_by_its_newest_complete_pull(connection, pulled):
    pulled("user_cost_report", "11-01", "11-05", "11-10")
    pulled("user_cost_report", "11-02", "11-06", "11-11")
    pulled("user_cost_report", "11-03", "11-03", "11-12")
    assert held(connection, "11-01", "11-30") == {
        "11-01": "11-10", "11-02": "11-11", "11-03": "11-12", "11-04": "11-11", "11-05": "11-11", "11-06": "11-11",
    }  # fmt: skip
    assert held(connection, "11-03", "11-04") == {"11-03": "11-12", "11-04": "11-11"}


def test_failed_pulls_other_endpoints_and_other_organisations_hold_nothing(connection, pulled):
    pulled("user_cost_report", "11-01", "11-01", "11-10", status="failed")
    pulled("cost_report", "11-01", "11-01", "11-10")
    pulled("user_cost_report", "11-01", "11-01", "11-10", organization="globex")
    assert held(connection, "11-01", "11-30") == {}
    assert held(connection, "11-01", "11-30", "globex") == {"11-01": "11-10"}
    assert first_expected_day(connection, "acme", COST) == day("11-01")  # asked for, though it failed


@pytest.mark.parametrize("clock_of_the_first", ["11-10", "11-12"], ids=["right", "two days fast"])
def test_of_two_pulls_the_later_in_the_ledger_counts_whatever_the_clock_said(connection, pulled, clock_of_the_first):
    pulled("user_cost_report", "11-01", "11-01", clock_of_the_first, refreshed_at="11-01")
    pulled("user_cost_report", "11-01", "11-01", "11-10", refreshed_at="11-09")
    assert held_days(connection, "acme", COST, day("11-01"), day("11-01"))[day("11-01")].data_refreshed_at == moment(
        "11-09"
    )


@pytest.mark.parametrize(
    ("fetched_at", "refreshed_at", "is_complete"),
    [
        ("11-02T12:00", "11-02T00:00", True),
        ("11-02T12:00", "11-01T23:59:59", False),
        ("11-02T00:00", None, True),
        ("11-01T23:59:59", None, False),
    ],
)
def test_a_day_is_complete_when_its_answer_reached_its_end(fetched_at, refreshed_at, is_complete):
    one = HeldDay(moment(fetched_at), moment(refreshed_at) if refreshed_at else None)
    assert one.is_complete(day("11-01")) is is_complete


def test_a_day_is_left_out_only_when_a_complete_pull_of_it_is_at_least_as_new_as_asked(connection, pulled):
    pulled("user_cost_report", "11-01", "11-02", "11-10T12:00")
    pulled("user_cost_report", "11-02", "11-02", "11-11T12:00")
    pulled("user_cost_report", "11-01", "11-01", "11-12T12:00", status="failed")
    asked = [day("11-01"), day("11-02"), day("11-03")]
    since = moment("11-11T12:00").replace(tzinfo=dt.UTC)
    assert not_pulled_since(connection, "acme", COST, asked, since) == [day("11-01"), day("11-03")]
    later = since + dt.timedelta(seconds=1)
    assert not_pulled_since(connection, "acme", COST, asked, later) == asked
    assert not_pulled_since(connection, "acme", COST, [], since) == []
