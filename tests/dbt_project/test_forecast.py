"""The forecast of a month: the models' own SQL over series made here, beside a second calculation in numpy.

What belongs here: what is forecast, from what, and how well. What does not: budgets (`test_budgets.py`).
"""

from __future__ import annotations

import calendar
import datetime as dt
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pytest

from tests.dbt_project import forecast_oracle as oracle

if TYPE_CHECKING:
    from tests.dbt_project.conftest import Built, Dbt

FIRST, LAST = dt.date(2026, 1, 1), dt.date(2026, 10, 20)
DAYS = [FIRST + n * oracle.DAY for n in range((LAST - FIRST).days + 1)]
HOLIDAYS = {dt.date(2026, 5, 25), dt.date(2026, 7, 3), dt.date(2026, 10, 26)}
MODELS = [
    f"int_forecast_{name}"
    for name in (
        *(
            "days",
            "dates",
            "usual_spend",
            "windows",
            "series",
            "window_spend",
            "known_days",
            "profiles",
            "weeks",
            "trends",
        ),
        *("levels", "remainders", "actuals", "ranges"),
    )
]
WORLD = 24
"""Organisations of which the accuracy is measured."""


@dataclass
class Series:
    """Daily spend in the place of `int_daily_spend_series`."""

    rows: dict[tuple[str, str, str, dt.date], Decimal] = field(default_factory=dict)
    known: dict[tuple[str, dt.date], bool] = field(default_factory=dict)

    def organization(self, name: str, last: dt.date = LAST, unknown: tuple[dt.date, ...] = ()) -> None:
        for day in DAYS:
            if day <= last:
                self.known[name, day] = day not in unknown

    def add(self, name: str, scope: str, value: str, amounts: Any) -> None:
        for day, amount in zip(DAYS, amounts, strict=True):
            if (name, day) in self.known and amount:
                self.rows[name, scope, value, day] = Decimal(repr(round(float(amount), 6)))

    def table(self) -> list[tuple[Any, ...]]:
        totals = {(name, "organization", name, day): Decimal(0) for name, day in self.known} | self.rows
        return [(*key, amount, self.known[key[0], key[3]]) for key, amount in totals.items()]

    def of(self, name: str, scope: str, value: str, days: oracle.Calendar) -> oracle.Floats:
        amounts = np.zeros(len(days.known))
        for day in DAYS:
            if 0 <= days.number(day) < len(amounts):
                amounts[days.number(day)] = float(self.rows.get((name, scope, value, day), 0))
        return amounts


@dataclass
class Forecasts:
    """What the models made of the series."""

    series: Series
    connection: duckdb.DuckDBPyConnection

    def rows(self, where: str = "true", of: str = "marts.spend_forecast") -> list[dict[str, Any]]:
        cursor = self.connection.execute(f"select * from {of} where {where} order by all")
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def one(self, where: str) -> dict[str, Any]:
        (row,) = self.rows(where)
        return row


def weekly(rng: np.random.Generator, *, noise: float = 0.15, growth: float = 0.0, level: float = 100.0) -> Any:
    week = np.array([1.1, 1.05, 1, 1, 0.9, 0.3, 0.2])
    shape = np.array([week[6 if day in HOLIDAYS else day.weekday()] for day in DAYS])
    return level * shape * np.exp(growth * np.arange(len(DAYS)) / 7 + rng.normal(0, noise, len(DAYS)))


def drifting(rng: np.random.Generator) -> Any:
    """An organisation whose level drifts, leaps and grows, as no setting of the forecast was chosen on."""
    days = len(DAYS)
    leap = np.where(np.arange(days) > rng.integers(30, days), rng.normal(0, 0.25), 0)
    drift = np.cumsum(rng.normal(rng.uniform(-0.0005, 0.002), 0.008, days))
    swing = 0.1 * np.sin(np.arange(days) / rng.uniform(20, 60) + rng.uniform(0, 6))
    return weekly(rng, noise=rng.uniform(0.05, 0.2), level=1000) * np.exp(leap + drift + swing)


def build(series: Series, dbt: Dbt) -> duckdb.DuckDBPyConnection:
    """Run the SQL that dbt compiled, over `series`."""
    connection = duckdb.connect(config={"threads": 2})
    connection.execute("create schema intermediate; create schema staging; create schema marts")
    connection.execute(
        """create table intermediate.int_daily_spend_series (organization_id varchar, scope varchar, scope_value varchar,
        activity_date date, amount_usd decimal(38, 14), is_complete boolean);
        create table staging.stg_holidays (holiday date)"""
    )
    rows = series.table()
    columns = [list(column) for column in zip(*rows, strict=True)]
    connection.execute(
        "insert into intermediate.int_daily_spend_series select "
        + ", ".join(f"unnest(${n})" for n in range(1, len(columns) + 1)),
        columns,
    )
    connection.executemany("insert into staging.stg_holidays values (?)", [[day] for day in sorted(HOLIDAYS)])
    for schema, model in [*(("intermediate", name) for name in MODELS), ("marts", "spend_forecast")]:
        connection.execute(f"create {dbt.materialized(model)} {schema}.{model} as {dbt.compiled(model)}")
    return connection


LATE = (dt.date(2026, 8, 12), dt.date(2026, 8, 13), dt.date(2026, 10, 9), dt.date(2026, 10, 10))
SPIKE = dt.date(2026, 9, 8)
MISSING = tuple(dt.date(2026, 9, day) for day in range(3, 12))


def fill(series: Series) -> None:
    rng = np.random.default_rng(20260714)
    days = len(DAYS)
    after = {name: np.array([day >= date for day in DAYS]) for name, date in (
        ("joins", dt.date(2026, 6, 10)), ("leaves", dt.date(2026, 8, 1)), ("leaps", dt.date(2026, 9, 15)),
    )}  # fmt: skip

    series.organization("acme", unknown=LATE)
    users = {
        "daily": weekly(rng),
        "seldom": weekly(rng, noise=1) * (rng.random(days) < 0.1),
        "joiner": weekly(rng) * after["joins"],
        "leaver": weekly(rng) * ~after["leaves"],
        "heavy": weekly(rng) * (1 + rng.pareto(1.2, days)),
    }
    for user, amounts in users.items():
        series.add("acme", "user", user, amounts)
    for product, of in (("chat", ("daily", "leaver")), ("cowork", ("seldom", "joiner", "heavy"))):
        series.add("acme", "product", product, sum(users[user] for user in of))
    series.add("acme", "model", "claude-opus-4-7", sum(users.values()))
    series.add("acme", "organization", "acme", sum(users.values()) + 1)

    series.organization("credits")
    series.add("credits", "organization", "credits", weekly(rng) - 400 * (rng.random(days) < 0.1))
    series.add("credits", "user", "owed", -weekly(rng))
    series.organization("zero")
    series.organization("nobody", unknown=tuple(DAYS))
    series.add("nobody", "user", "partial", weekly(rng))
    series.organization("young", last=FIRST + 4 * oracle.DAY)
    series.add("young", "organization", "young", weekly(rng))
    series.organization("leap")
    series.add("leap", "organization", "leap", weekly(rng) * np.where(after["leaps"], 10, 1))
    series.organization("growing")
    series.add("growing", "organization", "growing", weekly(rng, noise=0.05, growth=0.02))

    amounts = weekly(rng, noise=0.05)
    series.organization("spike")
    series.add("spike", "organization", "spike", np.where([day == SPIKE for day in DAYS], 30, 1) * amounts)
    for name, unknown in (("whole", ()), ("gaps", MISSING)):
        series.organization(name, unknown=unknown)
        missing = np.array([day in unknown for day in DAYS])
        series.add(name, "organization", name, np.where(missing, amounts * 0.1, amounts))
    for number in range(WORLD):
        series.organization(f"world-{number}")
        series.add(f"world-{number}", "organization", f"world-{number}", drifting(rng))


@pytest.fixture(scope="module")
def forecasts(stages: dict[str, Built], dbt: Dbt) -> Forecasts:
    """Return the forecasts of the series above; `stages` has compiled the models."""
    assert stages
    series = Series()
    fill(series)
    return Forecasts(series, build(series, dbt))


def calendars(series: Series) -> dict[str, oracle.Calendar]:
    known: dict[str, dict[dt.date, bool]] = defaultdict(dict)
    for (name, day), is_known in series.known.items():
        known[name][day] = is_known
    return {name: oracle.Calendar.of(days, HOLIDAYS) for name, days in known.items() if any(days.values())}


COMPARED = ("acme", "credits", "zero", "young", "leap", "spike", "gaps", "world-0")


def test_every_forecast_agrees_with_numpy_to_a_billionth(forecasts: Forecasts) -> None:
    days = calendars(forecasts.series)
    where = f"organization_id in {COMPARED} and day(forecast_date) % 5 = 0 or organization_id = 'young'"
    rows = forecasts.rows(where, of="intermediate.int_forecast_remainders")
    seen = set()
    for row in rows:
        name, scope, value, as_of = (row[key] for key in ("organization_id", "scope", "scope_value", "forecast_date"))
        found = oracle.estimate(days[name], forecasts.series.of(name, scope, value, days[name]), scope, as_of)
        assert found is not None, row
        assert row["remainder"] == pytest.approx(found.remainder, rel=1e-9, abs=1e-9), row
        assert row["standard_error"] == pytest.approx(found.standard_error, rel=1e-9), row
        seen.add((name, scope))
    assert len(rows) > 300, len(rows)
    assert {("acme", "user"), ("acme", "model"), ("credits", "user"), ("young", "organization")} <= seen, seen


def test_the_range_is_as_wide_as_the_errors_of_earlier_months_were_on_that_day(forecasts: Forecasts) -> None:
    """For the organisation alone and for users pooled, once three whole months can tell."""
    for name, scope in (("world-0", "organization"), ("acme", "user"), ("acme", "product")):
        days = calendars(forecasts.series)[name]
        rows = forecasts.rows(f"organization_id = '{name}' and scope = '{scope}'")
        assert {row["interval_status"] for row in rows} == {"calibrated", "insufficient_history"}
        made = {row["forecast_date"] for row in rows}
        for row in rows if scope == "user" else rows[::7]:
            scores = scores_before(forecasts, days, row, made)
            months = len({month for month, _ in scores})
            assert row["range_month_count"] == (months if months >= 3 else 0), row
            if row["remaining_day_count"] + row["unknown_day_count"] == 0:
                assert row["low_usd"] == row["high_usd"] == row["actual_to_date_usd"]
            elif months < 3:
                assert (row["low_usd"], row["high_usd"], row["interval_status"]) == (
                    None,
                    None,
                    "insufficient_history",
                ), row
            else:
                amounts = forecasts.series.of(name, scope, row["scope_value"], days)
                found = oracle.estimate(days, amounts, scope, row["forecast_date"])
                assert found is not None
                width = oracle.standard_errors([score for _, score in scores]) * found.standard_error
                actual = float(row["actual_to_date_usd"])
                for end, factor in (("low_usd", max(1 - width, 0)), ("high_usd", 1 + width)):
                    assert float(row[end]) == pytest.approx(actual + found.remainder * factor, rel=1e-9, abs=0.00501), (
                        row
                    )


SCORES: dict[tuple[str, str, dt.date], list[float]] = {}


def scores_before(
    forecasts: Forecasts, days: oracle.Calendar, row: dict[str, Any], made: set[dt.date]
) -> list[tuple[dt.date, float]]:
    """Return by how many standard errors the forecasts of whole earlier months were off, on the day that compares."""
    name, scope, as_of = row["organization_id"], row["scope"], row["forecast_date"]
    found = []
    for month in range(1, as_of.month):
        length = calendar.monthrange(2026, month)[1]
        day = dt.date(2026, month, min(as_of.day, length - 1))
        first, last = days.number(day.replace(day=1)), days.number(day.replace(day=length))
        if day in made and days.known[first : last + 1].all():
            found += [(day, score) for score in scores_of(forecasts, days, name, scope, day)]
    return found


def scores_of(forecasts: Forecasts, days: oracle.Calendar, name: str, scope: str, as_of: dt.date) -> list[float]:
    if (name, scope, as_of) in SCORES:
        return SCORES[name, scope, as_of]
    scores = SCORES[name, scope, as_of] = []
    last = days.number(as_of.replace(day=calendar.monthrange(2026, as_of.month)[1]))
    for value in sorted({key[2] for key in forecasts.series.rows if key[:2] == (name, scope)}):
        amounts = forecasts.series.of(name, scope, value, days)
        if amounts[: days.number(as_of) + 1].any():
            estimate = oracle.estimate(days, amounts, scope, as_of)
            if estimate and estimate.remainder > 0:
                rest = amounts[days.number(as_of) + 1 : last + 1].sum()
                scores.append(abs(rest - estimate.remainder) / (estimate.remainder * estimate.standard_error))
    return scores


def test_what_was_spent_is_exact_and_a_month_that_is_over_is_what_it_cost(forecasts: Forecasts) -> None:
    months: dict[tuple[Any, ...], list[tuple[dt.date, Decimal]]] = defaultdict(list)
    for (name, scope, value, day), amount in forecasts.series.rows.items():
        months[name, scope, value, day.replace(day=1)].append((day, amount))
    for row in forecasts.rows("organization_id in ('acme', 'gaps')"):
        key = (row["organization_id"], row["scope"], row["scope_value"], row["month"])
        spent = sum((amount for day, amount in months[key] if day <= row["forecast_date"]), Decimal(0))
        assert row["actual_to_date_usd"] == spent, row
        assert row["forecast_usd"] == spent + row["remaining_usd"], row
        assert row["remaining_usd"] == round(row["remaining_usd"], 2), row
        if row["remaining_day_count"] + row["unknown_day_count"] == 0:
            assert row["forecast_usd"] == spent, row


def test_a_day_that_is_not_known_is_expected_and_not_low_spend(forecasts: Forecasts) -> None:
    """Nine days of September came with a tenth of their cost, and are not complete."""
    for as_of in (dt.date(2026, 9, 12), dt.date(2026, 9, 30), dt.date(2026, 10, 5)):
        whole, gaps = (
            forecasts.one(f"organization_id = '{name}' and forecast_date = '{as_of}'") for name in ("whole", "gaps")
        )
        assert float(gaps["forecast_usd"]) == pytest.approx(float(whole["forecast_usd"]), rel=0.05), as_of
        assert gaps["unknown_day_count"] == (9 if as_of.month == 9 else 0)
        assert gaps["remaining_day_count"] == whole["remaining_day_count"]
    dates = {row["forecast_date"] for row in forecasts.rows("organization_id = 'gaps'")}
    assert not dates & set(MISSING)


def test_growth_is_continued_and_a_tenfold_leap_is_believed_after_two_weeks(forecasts: Forecasts) -> None:
    for month in range(5, 10):
        row = forecasts.one(f"organization_id = 'growing' and forecast_date = '2026-{month:02}-10'")
        month_usd = sum(
            amount
            for (name, *_, day), amount in forecasts.series.rows.items()
            if name == "growing" and day.month == month
        )
        assert float(row["forecast_usd"]) == pytest.approx(float(month_usd), rel=0.03), month
        assert row["weekly_growth_rate"] == pytest.approx(0.02, abs=0.01), month
    row = forecasts.one("organization_id = 'leap' and forecast_date = '2026-09-28'")
    assert float(row["remaining_usd"]) == pytest.approx(float(row["actual_to_date_usd"]) / 14 * 2, rel=0.3)


def test_a_day_of_thirty_times_the_usual_is_counted_and_not_expected_again(forecasts: Forecasts) -> None:
    for as_of in (dt.date(2026, 9, 8), dt.date(2026, 9, 11), dt.date(2026, 10, 5)):
        whole, spike = (
            forecasts.one(f"organization_id = '{name}' and forecast_date = '{as_of}'") for name in ("whole", "spike")
        )
        assert float(spike["remaining_usd"]) == pytest.approx(float(whole["remaining_usd"]), rel=0.25), as_of
        if as_of.month == SPIKE.month:
            assert spike["actual_to_date_usd"] > 3 * whole["actual_to_date_usd"]


def test_a_forecast_does_not_know_what_comes_after_its_day(forecasts: Forecasts, dbt: Dbt) -> None:
    last = dt.date(2026, 9, 17)
    series = Series()
    fill(series)
    series.rows = {key: amount for key, amount in series.rows.items() if key[3] <= last and "world" not in key[0]}
    series.known = {key: known for key, known in series.known.items() if key[1] <= last and "world" not in key[0]}
    earlier = Forecasts(series, build(series, dbt))
    where = f"forecast_date <= '{last}' and organization_id not like 'world%' and scope <> 'user'"
    known = [{name: value for name, value in row.items() if name != "is_newest"} for row in forecasts.rows(where)]
    assert known == [
        {name: value for name, value in row.items() if name != "is_newest"} for row in earlier.rows("scope <> 'user'")
    ]
    assert len(known) > 1000
    assert {row["forecast_date"] for row in earlier.rows("scope = 'user' and is_newest")} == {last}


def test_nothing_is_made_of_nothing_and_no_credit_is_expected_again(forecasts: Forecasts) -> None:
    assert forecasts.rows("organization_id in ('zero', 'nobody')") == []
    owed = forecasts.one("scope_value = 'owed' and is_newest")
    assert owed["actual_to_date_usd"] < 0
    assert owed["remaining_usd"] == 0
    young = forecasts.one("organization_id = 'young' and is_newest")
    assert (young["interval_status"], young["history_week_count"], young["forecast_date"]) == (
        ("insufficient_history", 1, dt.date(2026, 1, 5))
    )
    assert young["forecast_usd"] > young["actual_to_date_usd"]
    for row in forecasts.rows():
        assert 0 <= row["remaining_usd"] < 100_000, row


def test_the_forecast_of_organisations_it_was_not_made_for_is_as_good_as_promised(forecasts: Forecasts) -> None:
    errors: dict[int, list[float]] = defaultdict(list)
    inside = []
    totals: dict[tuple[str, int], float] = defaultdict(float)
    for (name, scope, _, day), amount in forecasts.series.rows.items():
        if scope == "organization":
            totals[name, day.month] += float(amount)
    for row in forecasts.rows("organization_id like 'world%' and month between '2026-03-01' and '2026-09-01'"):
        month_usd = totals[row["organization_id"], row["month"].month]
        errors[row["forecast_date"].day].append(abs(float(row["forecast_usd"]) / month_usd - 1))
        if row["interval_status"] == "calibrated" and row["remaining_day_count"]:
            inside.append(row["low_usd"] <= month_usd <= row["high_usd"])
    for day_of_month, goal in ((5, 0.085), (10, 0.075), (20, 0.045)):
        assert np.mean(errors[day_of_month]) <= goal, day_of_month
    assert 0.75 <= np.mean(inside) <= 0.85
    assert len(inside) > 2000
