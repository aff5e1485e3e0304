"""What the ledger answers: what is held, what daily still has to pull, where two answers do not fit."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from onelens_claude.api.endpoints import ENDPOINTS, Family
from onelens_claude.ledger.held import (
    HeldDay,
    days_to_pull,
    endpoints_of,
    first_expected_day,
    held_days,
    overdrawn_days,
)
from onelens_claude.warehouse.raw_tables import create_raw_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COST, USERS = ENDPOINTS["user_cost_report"], ENDPOINTS["users"]
NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(f"2026-{text}")


def moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(f"2026-{text}")


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as memory:
        create_raw_tables(memory)
        yield memory


@pytest.fixture
def pulled(connection: duckdb.DuckDBPyConnection) -> Callable[..., str]:
    """Leave a ledger row; `last` is inclusive."""
    numbers = itertools.count(1)

    def add(
        endpoint: str,
        first: str,
        last: str,
        fetched_at: str,
        *,
        refreshed_at: str | None = "same",
        status: str = "complete",
        organization: str = "acme",
    ) -> str:
        number = next(numbers)
        stamp = moment(fetched_at) if refreshed_at == "same" else refreshed_at and moment(refreshed_at)
        connection.execute(
            "insert into claude_raw.pulls (pull_sequence, pull_id, organization_id, endpoint, window_start, window_end, status, fetched_at, "
            "data_refreshed_at, page_count, row_count, byte_count) values (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 1, 1)",
            [
                number,
                f"pull {number}",
                organization,
                endpoint,
                day(first),
                day(last) + dt.timedelta(days=1),
                status,
                moment(fetched_at),
                stamp,
            ],
        )
        return f"pull {number}"

    return add


def held(connection: Any, first: str, last: str, organization: str = "acme") -> dict[str, str]:
    found = held_days(connection, organization, COST, day(first), day(last))
    return {f"{one:%m-%d}": f"{pull.fetched_at:%m-%d}" for one, pull in sorted(found.items())}


def due(connection: Any, endpoint: Any = COST, **options: Any) -> list[str]:
    return [
        f"{one:%m-%d}"
        for one in days_to_pull(connection, "acme", endpoint, **{"revision_days": 30, "now": NOW, **options})
    ]


# held days


def test_nothing_is_held_before_the_first_pull(connection):
    assert held(connection, "11-01", "11-30") == {}
    assert first_expected_day(connection, "acme", COST) is None


def test_each_day_is_held_by_its_newest_complete_pull(connection, pulled):
    pulled("user_cost_report", "11-01", "11-05", "11-10")
    pulled("user_cost_report", "11-03", "11-03", "11-12")
    pulled("user_cost_report", "11-02", "11-06", "11-11")
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


def test_of_pulls_at_the_same_moment_the_later_in_the_ledger_counts(connection, pulled):
    pulled("user_cost_report", "11-01", "11-01", "11-10", refreshed_at="11-01")
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


# days to pull


def test_an_organisation_that_was_never_pulled_is_due_for_the_newest_day_only(connection):
    assert due(connection) == ["11-19"]
    assert due(connection, USERS) == ["11-19"]
    assert due(connection, USERS, now=NOW.replace(hour=9)) == ["11-18"]


def test_missing_new_and_failed_days_are_due(connection, pulled):
    pulled("user_cost_report", "11-10", "11-17", "11-18T12:00")
    pulled("user_cost_report", "11-08", "11-08", "11-18T12:00")
    pulled("user_cost_report", "11-07", "11-07", "11-18T12:00", status="failed")
    assert due(connection) == ["11-07", "11-09", "11-18", "11-19"]


def test_a_day_whose_answer_did_not_reach_its_end_is_due(connection, pulled):
    pulled("user_cost_report", "11-16", "11-19", "11-20T01:00", refreshed_at="11-18T12:00")
    assert due(connection) == ["11-18", "11-19"]


def test_a_cost_day_is_due_once_more_when_it_can_no_longer_change(connection, pulled):
    pulled("user_cost_report", "10-18", "11-18", "11-19T12:00")
    pulled("user_cost_report", "11-19", "11-19", "11-20T12:00")
    # 18 and 19 October were final when they were pulled, 20 October is since midnight, the others are not yet
    assert due(connection) == ["10-20"]
    assert due(connection, revision_days=10) == ["11-09"]
    assert due(connection, now=NOW.replace(day=19, hour=13)) == []


def test_a_settled_day_is_not_due_again(connection, pulled):
    pulled("user_cost_report", "10-20", "11-18", "11-19T12:00")
    pulled("user_cost_report", "11-19", "11-19", "11-20T12:00")
    assert due(connection) == ["10-20"]
    pulled("user_cost_report", "10-20", "10-20", "11-20T12:00")
    assert due(connection) == []


def test_an_engagement_day_is_due_once_more_after_four_days(connection, pulled):
    pulled("users", "11-14", "11-18", "11-19T12:00", refreshed_at=None)
    pulled("users", "11-19", "11-19", "11-20T11:00", refreshed_at=None)
    assert due(connection, USERS) == ["11-15"]


def test_only_the_days_asked_about_are_looked_at(connection, pulled):
    pulled("user_cost_report", "11-10", "11-12", "11-19T12:00")
    asked = [day("11-12"), day("11-14"), day("11-13"), day("11-20"), day("11-21")]
    assert due(connection, days=asked) == ["11-13", "11-14"]
    assert due(connection, days=[]) == []


def test_days_the_api_no_longer_holds_are_not_due(connection, pulled):
    pulled("user_cost_report", "01-01", "01-01", "11-19T12:00")
    found = days_to_pull(connection, "acme", COST, revision_days=30, now=dt.datetime(2027, 2, 1, 12, tzinfo=dt.UTC))
    assert found[0] == dt.date(2026, 2, 1)
    assert found[-1] == dt.date(2027, 1, 31)


# overdrawn days


@pytest.fixture
def costs(connection: duckdb.DuckDBPyConnection, pulled: Callable[..., str]) -> Callable[..., None]:
    def add(when: str, total: str | None, *users: str, fetched_at: str = "11-20") -> None:
        for endpoint, query, amounts in (
            ("cost_report", "total", [total] if total else []),
            ("user_cost_report", "detail", users),
        ):
            pull_id = pulled(endpoint, when, when, fetched_at)
            for amount in amounts:
                connection.execute(
                    f"insert into claude_raw.{endpoint}_rows (pull_id, organization_id, page_number, query, activity_date, amount) "
                    "values (?, 'acme', 1, ?, ?, ?)",
                    [pull_id, query, day(when), amount],
                )

    return add


def overdrawn(connection: Any, *days: str) -> list[str]:
    return [f"{one:%m-%d}" for one in overdrawn_days(connection, "acme", [day(one) for one in days], "0.01")]


def test_a_day_is_overdrawn_when_its_users_cost_more_than_the_total(connection, costs):
    costs("11-01", "100", "60", "41")
    costs("11-02", "100", "60", "40")
    costs("11-03", "100", "60", "40.01")
    costs("11-04", "100", "60", "40.010000000001")
    costs("11-05", None, "5")
    costs("11-06", "100")
    assert overdrawn(connection, "11-01", "11-02", "11-03", "11-04", "11-05", "11-06", "11-07") == [
        "11-01",
        "11-04",
        "11-05",
    ]
    assert overdrawn(connection, "11-02") == []
    assert overdrawn(connection) == []


def test_only_the_newest_pulls_of_both_are_compared(connection, costs, pulled):
    costs("11-01", "100", "101")
    costs("11-01", "100", "99", fetched_at="11-21")
    assert overdrawn(connection, "11-01") == []
    costs("11-02", "100", "99")
    pulled("cost_report", "11-02", "11-02", "11-21")  # the total shrank to nothing
    assert overdrawn(connection, "11-02") == ["11-02"]


def test_a_day_of_which_only_one_answer_is_held_is_not_compared(connection, pulled):
    pull_id = pulled("user_cost_report", "11-01", "11-01", "11-20")
    connection.execute(
        "insert into claude_raw.user_cost_report_rows (pull_id, organization_id, page_number, query, activity_date, amount) values (?, 'acme', 1, 'detail', '2026-11-01', '5')",
        [pull_id],
    )
    assert overdrawn(connection, "11-01") == []


def test_rows_that_only_break_the_total_down_are_not_added_to_it(connection, costs):
    costs("11-01", "100", "150")
    connection.execute(
        "insert into claude_raw.cost_report_rows select * replace ('detail' as query) from claude_raw.cost_report_rows"
    )
    assert overdrawn(connection, "11-01") == ["11-01"]


def test_every_endpoint_is_of_one_family():
    of_families = [endpoint for family in Family for endpoint in endpoints_of(family)]
    assert sorted(endpoint.name for endpoint in of_families) == sorted(ENDPOINTS)
