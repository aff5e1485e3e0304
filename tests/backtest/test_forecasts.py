"""How far forecasts were off, on months small enough to count by hand."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import duckdb
import pytest

from onelens_claude.backtest.forecasts import ForecastScore, score_forecasts

if TYPE_CHECKING:
    from collections.abc import Iterable

FIRST, LAST = dt.date(2026, 1, 1), dt.date(2026, 5, 15)


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("create schema intermediate; create schema marts")
    connection.execute(
        """create table intermediate.int_daily_spend_series as
        select 'acme' as organization_id, scope, value as scope_value, cast(day as date) as activity_date,
            cast(amount as decimal(38, 14)) as amount_usd
        from range(date '2026-01-01', date '2026-05-16', interval 1 day) as days(day)
        cross join (values ('user', 'ada', 10), ('user', 'bob', 0.1)) as people(scope, value, amount)"""
    )
    connection.execute(
        """create table marts.spend_forecast
        (organization_id varchar, scope varchar, scope_value varchar, month date, forecast_date date,
        actual_to_date_usd decimal(38, 14), forecast_usd decimal(38, 14), low_usd decimal(38, 14), high_usd decimal(38, 14))"""
    )
    return connection


def scored(connection: duckdb.DuckDBPyConnection, rows: Iterable[tuple[object, ...]]) -> list[ForecastScore]:
    connection.executemany("insert into marts.spend_forecast values ('acme', 'user', ?, ?, ?, ?, ?, ?, ?)", [*rows])
    return score_forecasts(connection)


def test_errors_are_shares_of_what_the_month_cost_and_ranges_are_asked_whether_they_held(connection):
    march, april = dt.date(2026, 3, 1), dt.date(2026, 4, 1)  # they cost 310 and 300
    (one,) = scored(
        connection,
        [
            ("ada", march, dt.date(2026, 3, 10), 100, 341, 300, 320),
            ("ada", april, dt.date(2026, 4, 10), 200, 240, None, None),
        ],
    )
    assert (one.scope, one.day_of_month, one.forecasts, one.ranges, one.coverage) == ("user", 10, 2, 1, 1.0)
    assert one.mape == pytest.approx((0.1 + 0.2) / 2)
    assert one.run_rate_mape == pytest.approx((0 + 1) / 2)
    assert one.bias == pytest.approx((31 - 60) / 610)


def test_months_that_are_not_over_or_hardly_cost_anything_and_first_days_are_not_compared(connection):
    assert (
        scored(
            connection,
            [
                ("ada", dt.date(2026, 2, 1), dt.date(2026, 2, 10), 100, 280, None, None),  # history
                ("ada", dt.date(2026, 5, 1), dt.date(2026, 5, 10), 100, 280, None, None),  # not over
                ("ada", dt.date(2026, 4, 1), dt.date(2026, 4, 11), 110, 280, None, None),  # another day of the month
                ("bob", dt.date(2026, 4, 1), dt.date(2026, 4, 10), 1, 9, None, None),
            ],
        )
        == []
    )
