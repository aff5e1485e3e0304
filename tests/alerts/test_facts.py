"""What there is to tell, from marts in a real file: what happened, since when, why, and where to look closer."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from onelens_claude.alerts.delivery import evaluate
from onelens_claude.alerts.facts import failed_check, mart_facts, run_failure, runaway_facts
from onelens_claude.alerts.log import AlertLog
from onelens_claude.clock import utc_now
from onelens_claude.warehouse.files import Warehouse
from tests.alerts.conftest import HOOK

if TYPE_CHECKING:
    from collections.abc import Callable

    from onelens_claude.alerts.fact import Fact
    from onelens_claude.settings import Settings
    from tests.alerts.receivers import HttpReceiver

_SCHEMA = """
create schema marts;
create table marts.dim_claude_users (organization_id varchar, user_id varchar, email varchar, name varchar);
create table marts.fct_claude_costs (organization_id varchar, activity_date date, user_id varchar, product varchar,
    model varchar, speed varchar, amount_usd decimal(38, 14));
create table marts.budget_status (organization_id varchar, budget_id varchar, scope varchar, scope_value varchar,
    period varchar, period_start date, period_end date, newest_date date, limit_usd decimal(38, 14),
    spent_usd decimal(38, 14), percent_used decimal(38, 4), threshold_crossed integer, status varchar,
    provisional_day_count bigint, unknown_day_count bigint, first_unknown_date date);
create table marts.budget_crossings (organization_id varchar, budget_id varchar, scope varchar, scope_value varchar,
    period varchar, period_start date, period_end date, limit_usd decimal(38, 14), threshold_percent integer,
    crossed_on date, first_known_at timestamp, uncrossed_on date, uncrossed_at timestamp);
"""
_ANOMALIES = """
create table if not exists marts.cost_anomalies (organization_id varchar, activity_date date, scope varchar, scope_value varchar,
    metric varchar, actual decimal(38, 14), expected decimal(38, 14), low decimal(38, 14), high decimal(38, 14),
    score double, impact_usd decimal(38, 14), direction varchar, kind varchar, incident_id varchar, reason varchar,
    status varchar)
"""
STANDING: dict[str, Any] = {
    "organization_id": "acme",
    "budget_id": "person",
    "scope": "user",
    "scope_value": "user_1",
    "period": "monthly",
    "period_start": "2026-11-01",
    "period_end": "2026-11-30",
    "newest_date": "2026-11-19",
    "limit_usd": "100",
    "spent_usd": "101.5",
    "percent_used": "101.5",
    "threshold_crossed": 80,
    "status": "exceeded",
    "provisional_day_count": 19,
    "unknown_day_count": 1,
    "first_unknown_date": "2026-11-12",
}
CROSSING = {
    **{key: STANDING[key] for key in ("organization_id", "budget_id", "scope", "scope_value", "period", "limit_usd")},
    "period_start": "2026-11-01",
    "period_end": "2026-11-30",
    "threshold_percent": 80,
    "crossed_on": "2026-11-17",
    "first_known_at": "2026-11-18 10:31:00",
}
ANOMALY = {
    "organization_id": "acme",
    "activity_date": "2026-11-18",
    "scope": "user_product",
    "scope_value": "user_1/claude_code",
    "metric": "amount_usd",
    "actual": "412",
    "expected": "40",
    "low": "20",
    "high": "60",
    "score": 9.5,
    "impact_usd": "372",
    "direction": "up",
    "kind": "spike",
    "incident_id": "i1",
    "reason": "person7@… spent $412 on claude_code on 18 Nov, usually $20 to $60",
    "status": "open",
}


class Marts:
    """A working file with marts made by hand."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        with Warehouse.of(settings).writer() as connection:
            connection.execute(_SCHEMA)
            connection.execute("insert into marts.dim_claude_users values ('acme', 'user_1', 'ada@example.com', 'Ada')")

    def add(self, table: str, *rows: dict[str, Any]) -> Marts:
        with Warehouse.of(self.settings).writer() as connection:
            if table == "cost_anomalies":
                connection.execute(_ANOMALIES)
            for row in rows:
                marks = ", ".join("?" for _ in row)
                connection.execute(f"insert into marts.{table} ({', '.join(row)}) values ({marks})", list(row.values()))
        return self

    def facts(self, event: str = "budget") -> list[Fact]:
        with Warehouse.of(self.settings).working_reader() as connection:
            return [one for one in mart_facts(connection, self.settings, utc_now()) if one.event == event]

    def answers(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.settings.warehouse_path), read_only=True) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture
def marts(settings: Callable[..., Settings], receiver: HttpReceiver) -> Marts:
    return Marts(settings(HOOK))


def test_a_crossing_says_how_much_since_when_why_and_where_to_look(marts):
    marts.add("budget_status", STANDING).add("budget_crossings", CROSSING)
    crossing, limit = marts.facts()
    assert crossing.title == "acme: budget person for ada@example.com reached 80 % of $100.00 in November 2026"
    assert crossing.text.splitlines() == [
        "Spent so far: $101.50 of $100.00 (101.5 %).",
        "80 % was reached on 2026-11-17 (known since 2026-11-18 10:31 UTC).",
        "19 days of it can still be revised.",
        "1 day not wholly known, the first is 2026-11-12; what is known is counted.",
    ]
    assert (crossing.severity, crossing.occurred_on, crossing.impact_usd) == (
        "critical",
        dt.date(2026, 11, 17),
        Decimal("101.5"),
    )
    assert "organization_id = 'acme'" in crossing.query
    assert marts.answers(crossing.query) == []
    # no threshold is at 100 %, and the limit is news all the same
    assert limit.title == "acme: budget person for ada@example.com exceeded $100.00 in November 2026"
    assert crossing.group == limit.group
    assert limit.rank > crossing.rank


def test_the_key_of_a_crossing_is_that_of_organisation_budget_member_period_and_threshold(marts):
    changed: list[dict[str, Any]] = [
        {},
        {"organization_id": "beta"},
        {"budget_id": "other"},
        {"scope_value": "user_2"},
        {"period_start": "2026-10-01", "period_end": "2026-10-31"},
        {"threshold_percent": 50},
        {"limit_usd": "200"},
    ]
    standing = {**STANDING, "status": "warning"}
    for one in changed:
        known = {key: value for key, value in one.items() if key != "threshold_percent"}
        if one != {"threshold_percent": 50} and "limit_usd" not in one:
            marts.add("budget_status", standing | known)
        marts.add("budget_crossings", CROSSING | one)
    before = [one.alert_key for one in marts.facts()]
    assert len(before) == len(set(before)) == len(changed)
    with Warehouse.of(marts.settings).writer() as connection:
        connection.execute("update marts.budget_status set spent_usd = 500, percent_used = 500")
        connection.execute("update marts.budget_crossings set crossed_on = '2026-11-03', first_known_at = now()")
    assert sorted(one.alert_key for one in marts.facts()) == sorted(before)


def test_a_restatement_that_uncrosses_a_threshold_is_one_correction_to_whom_it_was_told(marts, receiver):
    marts.add("budget_status", STANDING | {"status": "warning"}).add("budget_crossings", CROSSING)
    for _ in range(2):
        evaluate(marts.settings, marts.facts())
    with Warehouse.of(marts.settings).writer() as connection:
        connection.execute("update marts.budget_crossings set uncrossed_at = '2026-11-20 11:00'")
        connection.execute("update marts.budget_status set spent_usd = 70, percent_used = 70, status = 'ok'")
    for _ in range(2):
        evaluate(marts.settings, marts.facts())
    first, correction = receiver.alerts
    assert correction["correction_of"] == first["alert_key"]
    assert "Spent so far: $70.00 of $100.00 (70.0 %)." in correction["text"]


def test_a_period_that_was_over_a_week_ago_is_past_and_the_one_that_ended_yesterday_is_not(marts, set_now):
    marts.add("budget_status", STANDING).add("budget_crossings", CROSSING)
    set_now("2026-12-07T12:00:00Z")
    assert {one.is_past for one in marts.facts()} == {False}
    set_now("2026-12-08T12:00:00Z")
    assert {one.is_past for one in marts.facts()} == {True}


def test_a_forecast_above_the_limit_is_told_once_it_is_in_the_mart(marts):
    with Warehouse.of(marts.settings).writer() as connection:
        for column in ("forecast_usd", "forecast_low_usd", "forecast_high_usd"):
            connection.execute(f"alter table marts.budget_status add column {column} decimal(38, 14)")
    forecast = {"forecast_usd": "130", "forecast_low_usd": "120", "forecast_high_usd": "150"}
    marts.add("budget_status", STANDING | {"status": "forecast_exceeded", "spent_usd": "60"} | forecast)
    (one,) = marts.facts()
    assert one.title == "acme: budget person for ada@example.com is forecast to exceed $100.00 in November 2026"
    assert "Forecast for the period's end: $130.00, likely $120.00 to $150.00, as of 2026-11-19." in one.text
    assert one.impact_usd == 30


def test_an_incident_is_one_fact_however_many_days_it_has_and_quotes_the_marts_reason(marts):
    second = ANOMALY | {"activity_date": "2026-11-19", "score": 3.0, "impact_usd": "28", "reason": "less"}
    marts.add("cost_anomalies", ANOMALY, second, ANOMALY | {"incident_id": "i2", "status": "revised_away"})
    told, gone = sorted(marts.facts("anomaly"), key=lambda one: one.is_withdrawn)
    assert (told.is_withdrawn, gone.is_withdrawn) == (False, True)
    assert told.title == "acme: spike in spend of ada@example.com on claude_code since 2026-11-18 ($400.00)"
    assert told.text.splitlines() == [
        "person7@… spent $412 on claude_code on 18 Nov, usually $20 to $60",
        "Since 2026-11-18, up to 2026-11-19.",
        "Actual $412.00, expected $40.00, band $20.00 to $60.00.",
    ]
    assert told.severity == "warning"
    assert "user_id = 'user_1' and product = 'claude_code'" in told.query
    assert marts.answers(told.query) == []


def test_windows_that_overlap_are_not_added_up(marts):
    windows = [
        ANOMALY | {"activity_date": f"2026-11-{day}", "kind": "chronic", "impact_usd": str(day * 10)}
        for day in (17, 18, 19)
    ]
    marts.add("cost_anomalies", *windows, ANOMALY | {"impact_usd": "100"})
    (fact,) = marts.facts("anomaly")
    assert fact.impact_usd == 190


def test_one_cause_that_shows_in_several_series_is_told_once_for_the_person_and_once_for_what_was_used(marts, receiver):
    series = [
        {"scope": "user", "scope_value": "user_1", "impact_usd": "380"},
        {"scope": "user", "scope_value": "user_1", "metric": "total_tokens", "actual": "5000000", "impact_usd": "900"},
        {},
        {"scope": "product", "scope_value": "claude_code"},
        {"scope": "model", "scope_value": "claude-opus-4-7", "impact_usd": "350"},
        {"scope": "organization", "scope_value": "acme", "impact_usd": None},
    ]
    marts.add("cost_anomalies", *[ANOMALY | one | {"incident_id": str(n)} for n, one in enumerate(series)])
    evaluate(marts.settings, marts.facts("anomaly"))
    assert [one["title"] for one in receiver.alerts] == [
        "acme: spike in spend of ada@example.com since 2026-11-18 ($380.00)",
        "acme: spike in spend of product claude_code since 2026-11-18 ($372.00)",
    ]


def test_who_ran_away_is_told_the_same_day_and_not_again_when_the_day_is_pulled(marts, receiver, set_now):
    runaway = ANOMALY | {"kind": "runaway", "scope": "user", "scope_value": "user_1", "activity_date": "2026-11-20"}
    marts.add("cost_anomalies", runaway)
    with Warehouse.of(marts.settings).working_reader() as connection:
        (fact,) = runaway_facts(connection, marts.settings, utc_now())
    assert (fact.severity, "from marts.hourly_spend" in fact.query) == ("critical", True)
    evaluate(marts.settings, [fact])
    assert [one["title"] for one in receiver.alerts] == [
        "acme: runaway in spend of ada@example.com since 2026-11-20 ($372.00)"
    ]
    set_now("2026-11-21T12:00:00Z")
    with Warehouse.of(marts.settings).writer() as connection:
        connection.execute("delete from marts.cost_anomalies")
    day = ANOMALY | {"activity_date": "2026-11-20", "impact_usd": "900"}
    marts.add(
        "cost_anomalies",
        runaway | {"kind": "spike", "impact_usd": "800"},
        day | {"scope": "user", "scope_value": "user_1", "metric": "total_tokens", "incident_id": "tokens"},
        day | {"incident_id": "product"},
    )
    evaluate(marts.settings, marts.facts("anomaly"))
    assert len(receiver.alerts) == 1
    assert {row["status"] for row in AlertLog(marts.settings.alerts_path).rows()} == {"sent"}
    marts.add("cost_anomalies", day | {"activity_date": "2026-11-21", "incident_id": "another day"})
    evaluate(marts.settings, marts.facts("anomaly"))
    assert [one["occurred_on"] for one in receiver.alerts] == ["2026-11-20", "2026-11-21"]


def test_marts_that_are_not_built_have_nothing_to_tell(settings):
    one = settings()
    with Warehouse.of(one).working_reader() as connection:
        assert [fact for fact in mart_facts(connection, one, utc_now()) if fact.holds is not False] == []


def test_names_and_errors_from_elsewhere_stay_on_their_line_and_are_bounded(marts):
    with Warehouse.of(marts.settings).writer() as connection:
        connection.execute("update marts.dim_claude_users set email = null, name = ?", ["Eve\nacme: all is well" * 30])
    marts.add("budget_status", STANDING)
    (limit,) = marts.facts()
    assert "\n" not in limit.title
    assert len(limit.title) < 250
    failure = run_failure("0123456789", "daily_job", "first\nsecond " + "x" * 9_000, utc_now())
    assert failure.text.startswith("first second xxx")
    assert len(failure.text) < 2_000
    assert (failure.organization_id, failure.page) == ("*", "runs/0123456789")
    check = failed_check("marts/a", "b", passed=False, is_error=True, description="two\nlines", on=dt.date(2026, 11, 1))
    assert (check.text, check.query, check.holds) == ("two lines", "from marts.a limit 50", True)
