"""Budgets: the marts agree with a second calculation in plain Python, from every moment the ledger ever had.

What belongs here: budget marts as built. What does not: single rules (unit tests beside the models), settings.
"""

from __future__ import annotations

import calendar
import dataclasses
import datetime as dt
from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.dbt_project.oracle import DAY, facts
from tests.dbt_project.scenarios import BUDGETS

if TYPE_CHECKING:
    from tests.dbt_project.conftest import Built

COLUMN = {"user": 0, "product": 1, "model": 2}
"""Where a key of `facts` has the scope's value, after organisation and day."""
Days = dict[tuple[str, str, str, dt.date], dict[dt.date, Decimal]]


def period_of(period: str, day: dt.date) -> tuple[dt.date, dt.date]:
    if period == "monthly":
        return day.replace(day=1), day.replace(day=calendar.monthrange(day.year, day.month)[1])
    first = day - day.weekday() * DAY if period == "weekly" else day
    return first, first + (6 * DAY if period == "weekly" else 0 * DAY)


def spend(warehouse: Built, as_of: dt.datetime | None = None) -> Days:
    """Return (budget, organisation, value, first day of the period) to the cents of each day."""
    found: Days = defaultdict(lambda: defaultdict(Decimal))
    for (organization_id, day, *key), (amount, *_rest) in facts(warehouse, "cost", as_of).items():
        for budget_id, organization, scope, value, period, _limit, _percents in BUDGETS:
            member = organization_id if scope == "organization" else key[COLUMN[scope]]
            is_of_it = scope == "organization" or value in ("*", member)
            if organization in ("*", organization_id) and member is not None and is_of_it:
                found[budget_id, organization_id, member, period_of(period, day)[0]][day] += amount
    return found


def test_spend_to_date_and_its_thresholds_agree_with_python_to_the_last_digit(built: Built) -> None:
    limits = {budget_id: (limit, percents) for budget_id, *_, limit, percents in BUDGETS}
    forecasts: dict[tuple[Any, ...], Decimal] = {
        ("month", name, name, month): forecast
        for name, month, forecast in built.query(
            "select organization_id, month, forecast_usd from marts.spend_forecast where is_newest and scope = 'organization'"
        )
    }
    expected = {}
    for (budget_id, *rest), days in spend(built).items():
        limit, percents = limits[budget_id]
        cents = sum(days.values())
        crossed = max((one for one in percents if cents >= limit * one), default=None)
        status = "exceeded" if cents > limit * 100 else "warning" if crossed else "ok"
        if status != "exceeded" and forecasts.get((budget_id, *rest), 0) > limit:
            status = "forecast_exceeded"
        expected[budget_id, *rest] = (cents / 100, crossed, status)
    told = {
        row[:4]: row[4:]
        for row in built.query(
            """select budget_id, organization_id, scope_value, period_start, spent_usd, threshold_crossed, status
            from marts.budget_status where scope <> 'team'"""
        )
    }
    assert {key: told.get(key) for key in expected} == expected
    assert {status for *_, status in expected.values()} == {"ok", "warning", "exceeded", "forecast_exceeded"}
    # what had no line now: a fixed value, and a member whose cost a revision took away
    others = {key: values for key, values in told.items() if key not in expected and key[0] != "address"}
    assert {values[:2] for values in others.values()} == {(Decimal(0), None)}
    for key, values in others.items():
        assert values[2] == ("forecast_exceeded" if forecasts.get(key, 0) > limits[key[0]][0] else "ok"), key


def test_the_days_behind_a_period_are_counted_and_what_is_not_known_is_named(built: Built) -> None:
    rows = built.query(
        """select period_start, newest_date, known_day_count, unknown_day_count, first_unknown_date, finality
        from marts.budget_status where budget_id = 'month' and organization_id = 'partial' order by period_start"""
    )
    # 30 March has one answer of two, 31 March got its second late; 1 April has a failed pull, 2 April both answers
    assert rows == [
        (dt.date(2026, 3, 1), dt.date(2026, 3, 31), 1, 1, dt.date(2026, 3, 30), "incomplete"),
        (dt.date(2026, 4, 1), dt.date(2026, 4, 2), 1, 1, dt.date(2026, 4, 1), "incomplete"),
    ]
    counted = built.query(
        """select budget_id, count(*) from marts.budget_status join intermediate.int_cost_days using (organization_id)
        where budget_id = 'month' and scope_value = 'random-a'
            and activity_date between period_start and period_end and int_cost_days.finality = 'provisional'
        group by budget_id, period_start, provisional_day_count having count(*) <> provisional_day_count"""
    )
    assert counted == []


def test_a_budget_by_an_old_address_is_the_accounts_and_one_that_nobody_has_is_shown(built: Built) -> None:
    values = built.query(
        "select distinct budget_id, scope_value from marts.budget_status where organization_id = 'people' "
        "and budget_id in ('address', 'nobody') order by budget_id"
    )
    assert values == [("address", "renamed"), ("nobody", "nobody@x.example")]
    assert built.query("select count(*) from marts.budget_status where budget_id = 'elsewhere'") == [(0,)]


def test_crossings_are_those_that_python_finds_at_every_moment_of_the_ledger(built: Built) -> None:
    """Organisations whose pulls were all made in the order of the ledger, two with random revisions among them."""
    ids = {"random-a", "random-b", "shrinking"}
    pulls = [pull for pull in built.pulls if pull.organization_id in ids]
    warehouse = dataclasses.replace(built, pulls=pulls)
    limits = {budget_id: (limit, percents) for budget_id, *_, limit, percents in BUDGETS}
    expected: dict[tuple[Any, ...], Any] = {}
    for moment in sorted({pull.fetched_at for pull in pulls}):
        known = spend(warehouse, moment)
        for key, days in known.items():
            limit, percents = limits[key[0]]
            for percent in percents:
                if sum(days.values()) >= limit * percent:
                    running, on = Decimal(0), None
                    for day in sorted(days):
                        running += days[day]
                        if on is None and running >= limit * percent:
                            on = day
                    first, _, _ = expected.get((*key, percent), (moment, None, None))
                    expected[*key, percent] = (first, on, None)
        for crossing, (first, on, uncrossed_at) in expected.items():
            cents = sum(known.get(crossing[:4], {}).values())
            if uncrossed_at is None and cents < limits[crossing[0]][0] * crossing[4]:
                expected[crossing] = (first, on, moment)
    told = built.query(
        """select budget_id, organization_id, scope_value, period_start, threshold_percent,
            first_known_at, crossed_on, uncrossed_at, uncrossed_on
        from marts.budget_crossings
        where organization_id in ('random-a', 'random-b', 'shrinking') and scope <> 'team'"""
    )
    assert {row[:5]: row[5:8] for row in told} == expected
    assert all(row[8] == (row[7] and row[7].date()) for row in told)
    assert {row[7] is None for row in told} == {True, False}
