"""Which days need a pull: new, missing, incomplete, due to settle, or of answers that do not fit together."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from onelens_claude.api.endpoints import ENDPOINTS
from onelens_claude.ledger.due import days_to_pull, overdrawn_days

from .pulls import day

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

COST, USERS = ENDPOINTS["user_cost_report"], ENDPOINTS["users"]
NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)


def due(connection: Any, endpoint: Any = COST, **options: Any) -> list[str]:
    return [
        f"{one:%m-%d}"
        for one in days_to_pull(connection, "acme", endpoint, **{"revision_days": 30, "now": NOW, **options})
    ]


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


def test_a_day_pulled_by_a_clock_that_was_fast_is_due(connection, pulled):
    pulled("user_cost_report", "10-18", "10-19", "11-22T12:00")
    pulled("user_cost_report", "10-20", "11-19", "11-20T12:00")
    assert due(connection) == ["10-18", "10-19"]
    pulled("user_cost_report", "10-18", "10-19", "11-20T12:00")
    assert due(connection) == []


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
    return [f"{one:%m-%d}" for one in overdrawn_days(connection, "acme", [day(one) for one in days])]


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


@pytest.fixture
def group(connection: duckdb.DuckDBPyConnection) -> Callable[..., None]:
    """Return what adds a group of a product to the newest answer of a day."""

    def add(when: str, amount: str, product: str | None, query: str = "detail", endpoint: str = "cost_report") -> None:
        connection.execute(
            f"""insert into claude_raw.{endpoint}_rows
                (pull_id, organization_id, page_number, query, activity_date, product, amount)
            select pull_id, organization_id, 1, ?, window_start, ?, ? from claude_raw.pulls
            where endpoint = ? and window_start = ? order by pull_sequence desc limit 1""",
            [query, product, amount, endpoint, day(when)],
        )

    return add


def test_a_credit_of_the_organisation_is_no_overdraft(connection, costs, group):
    costs("11-01", "95", "100")  # a group below zero
    group("11-01", "100", None)
    group("11-01", "-5", "other")
    costs("11-02", "95", "100")  # a total below its groups
    group("11-02", "100", None)
    costs("11-03", "-5")  # a total below zero, and nothing else
    costs("11-04", "95", "100")  # by product, where the cap hides the group; a piece lists one again
    group("11-04", "60", "chat")
    group("11-04", "60", "chat", "detail:products[]=chat")
    group("11-04", "100", "chat", "by_product")
    group("11-04", "-5", None, "by_product")
    assert overdrawn(connection, "11-01", "11-02", "11-03", "11-04") == []


def test_users_beyond_a_credit_are_an_overdraft(connection, costs, group):
    costs("11-01", "95", "100.02")
    group("11-01", "100", None)
    group("11-01", "-5", "other")
    costs("11-02", "50", "60")  # the total falls, and so does a group below what its users cost
    group("11-02", "50", None)
    group("11-02", "30", "chat")
    costs("11-03", "95")  # a credit is no room for users who are not in the report
    group("11-03", "100", "chat")
    group("11-03", "100.02", "other", endpoint="user_cost_report")
    assert overdrawn(connection, "11-01", "11-02", "11-03") == ["11-01", "11-02", "11-03"]
