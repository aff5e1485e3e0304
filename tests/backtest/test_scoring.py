"""The measures and the simpler methods, on cases small enough to count by hand."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from statistics import mean, stdev

import duckdb
import pytest

from onelens_claude.backtest.baselines import baseline_alerts
from onelens_claude.backtest.labels import SEGMENTS, Label
from onelens_claude.backtest.scoring import Alert, Score, Series, incidents, score

FIRST = dt.date(2026, 1, 1)
FROM = {"acme": FIRST}


def day(number: int) -> dt.date:
    return FIRST + dt.timedelta(days=number)


def alert(number: int, value: str = "ada", scope: str = "user", kind: str = "spike") -> Alert:
    return Alert(Series("acme", scope, value), day(number), kind, 5.0)


def event(
    start: int, end: int, value: str = "ada", *, scope: str = "user", kind: str = "spike", usd: int | None = 10
) -> Label:
    return Label("acme", scope, value, kind, day(start), day(end), None if usd is None else Decimal(usd))


def scored(alerts: list[Alert], labels: list[Label] | None, *scopes: str) -> Score:
    return score(alerts, labels, scopes or ("user",), 1000, FROM)


def test_days_with_three_days_between_them_are_one_incident_and_of_each_series_alone():
    joined = incidents([alert(9), alert(1), alert(5), alert(14), alert(5, "bob")])
    assert [(one.series.scope_value, [a.date for a in one.alerts]) for one in joined] == [
        ("ada", [day(1), day(5), day(9)]),
        ("ada", [day(14)]),
        ("bob", [day(5)]),
    ]


def test_an_event_is_found_from_its_first_day_to_two_days_after_its_last():
    labels = [event(10, 12)]
    recalls = {number: scored([alert(number)], labels).recall for number in (9, 10, 12, 14, 15)}
    assert recalls == {9: 0, 10: 1, 12: 1, 14: 1, 15: 0}
    assert scored([alert(13)], labels).median_delay_days == 3
    early = scored([alert(8), alert(11)], labels)  # one incident: it is right, and says so on the second day
    assert (early.incidents, early.precision, early.median_delay_days) == (1, 1.0, 1.0)


def test_shares_are_of_events_of_dollars_and_of_incidents():
    labels = [event(10, 10, usd=90), event(20, 20, usd=10), event(30, 30, usd=None), event(40, 40, kind="drop")]
    result = scored([alert(10), alert(30), alert(40), alert(50, "bob")], labels)
    assert (result.events, result.recall, result.dollar_recall) == (3, 2 / 3, 0.9)
    assert (result.incidents, result.precision, result.false_per_1000_series_days) == (4, 0.5, 2.0)
    assert result.f1 == pytest.approx(2 * 0.5 * (2 / 3) / (0.5 + 2 / 3))
    assert result.by_kind.keys() == {"spike"}
    assert result.precision_by_alert_kind == {"spike": 0.5}


def test_another_segment_makes_an_incident_right_but_finds_no_event_and_a_person_makes_none_right():
    labels = [event(10, 10, "chat", scope="product"), event(20, 20)]
    result = scored([alert(10, "opus", "model"), alert(20, "opus", "model")], labels, *SEGMENTS)
    assert (result.events, result.recall, result.precision) == (1, 0, 0.5)
    assert scored([alert(10)], labels).precision == 0


def test_an_event_of_a_person_is_found_by_an_alert_about_one_of_their_products():
    labels = [event(10, 10), event(20, 20, "ada/chat", scope="user_product")]
    result = scored(
        [alert(10, "ada/chat", "user_product"), alert(20, "ada/code", "user_product")], labels, "user_product"
    )
    assert (result.events, result.recall, result.precision) == (2, 0.5, 1.0)


def test_what_began_before_the_first_scored_day_is_neither_found_nor_missed():
    result = score([alert(1), alert(12)], [event(1, 12)], ("user",), 1000, {"acme": day(10)})
    assert (result.events, result.recall, result.incidents, result.precision) == (0, None, 1, 1.0)


def test_without_labels_incidents_are_counted_and_nothing_is_claimed():
    result = scored([alert(1), alert(20)], None)
    assert (result.incidents, result.incidents_per_1000_series_days) == (2, 2.0)
    assert (result.precision, result.recall, result.false_per_1000_series_days, result.f1) == (None, None, None, None)


def test_the_simpler_methods_look_back_only_keep_the_floors_and_wait_for_some_days():
    usual = [10.0, 12.0]
    amounts = {
        ("user", "ada"): [200.0 if number == 40 else usual[number % 2] for number in range(60)],
        ("user", "bob"): [25.0 if number == 40 else usual[number % 2] for number in range(60)],  # below the floor
        ("user", "cyd"): [
            200.0 if number == 50 else 0.0 if number < 40 else 10.0 for number in range(60)
        ],  # ten days old
        ("product", "chat"): [
            9999.0 if number == 40 else 9000.0 + number % 7 for number in range(60)
        ],  # nearly as well
    }
    connection = duckdb.connect()
    connection.execute("create schema intermediate")
    connection.execute(
        """create table intermediate.int_daily_spend_series
        (organization_id varchar, scope varchar, scope_value varchar, activity_date date, amount_usd decimal(38, 14))"""
    )
    connection.executemany(
        "insert into intermediate.int_daily_spend_series values ('acme', ?, ?, ?, ?)",
        [(*key, day(number), amount) for key, days in amounts.items() for number, amount in enumerate(days)],
    )
    raised = baseline_alerts(connection)
    assert {name.partition(" over ")[0] for name in raised} == {"z-score", "median/MAD", "week"}
    for name, alerts in raised.items():
        users = [(one.series.scope_value, one.date) for one in alerts if one.series.scope == "user"]
        assert users == [("ada", day(40))], name
    (product,) = [one for one in raised["z-score over 3 (28 days)"] if one.series.scope == "product"]
    assert product._replace(score=0) == alert(40, "chat", "product")._replace(score=0)
    before = amounts["product", "chat"][12:40]
    assert product.score == pytest.approx((9999 - mean(before)) / stdev(before))
