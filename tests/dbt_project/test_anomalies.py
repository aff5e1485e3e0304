"""What is raised, and what is not: the detector's models over made-up organisations, beside numpy."""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from onelens_claude.backtest.organizations import make_organization
from onelens_claude.backtest.running import prepare, run_models, store
from onelens_claude.warehouse.connections import connect
from tests.dbt_project.anomaly_reference import Reference, segment_scores

if TYPE_CHECKING:
    from pathlib import Path

    from tests.dbt_project.conftest import Dbt

FIRST = dt.date(2025, 1, 6)
EPOCH = dt.date(2020, 1, 1)
FLOORS = {"amount_usd": 20.0, "total_tokens": 10_000_000.0}
HOLIDAY = dt.date(2025, 5, 1)


@dataclass
class Detected:
    path: Path
    target: Path

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with connect(self.path, read_only=True) as connection:
            return connection.execute(sql, list(parameters)).fetchall()

    def change(self, *statements: str) -> None:
        with connect(self.path) as connection:
            for statement in statements:
                connection.execute(statement)

    def detect(self) -> None:
        run_models(self.path, self.target)


def steady(organization: str, users: int, days: int = 120) -> pd.DataFrame:
    """Return people who spend about ten dollars a day, each in a rhythm of their own."""
    return pd.DataFrame(
        [
            (organization, FIRST + dt.timedelta(days=day), f"u{user}", "chat", "claude-opus-4-7", cents(user, day))
            for user in range(users)
            for day in range(days)
        ],
        columns=["organization_id", "activity_date", "user_id", "product", "model", "amount_cents"],
    )


def cents(user: int, day: int) -> int:
    return 900 + 37 * ((day * 7 + user * 3) % 11)


def eventful() -> pd.DataFrame:
    """Return twelve people of whom u1 runs away, u2 spends more from a day on and u3 more each day."""
    spend = steady("eventful", 12)
    day = days_of(spend)
    spend.loc[day == 50, "amount_cents"] *= 5  # a day on which all pay more is nobody's own
    spend.loc[(spend["user_id"] == "u1") & (day == 100), "amount_cents"] *= 30
    spend.loc[(spend["user_id"] == "u2") & (day >= 90), "amount_cents"] *= 4
    climbs = (spend["user_id"] == "u3") & (day >= 60)
    spend.loc[climbs, "amount_cents"] = (spend["amount_cents"] * (1 + (day - 60).clip(upper=40) / 16))[climbs].astype(
        int
    )
    return spend


def harmless() -> pd.DataFrame:
    """Return people who join, move to another model or product, and are given a credit."""
    spend = steady("harmless", 12)
    day = days_of(spend)
    newcomer = spend[(spend["user_id"] == "u1") & (day >= 70)].assign(user_id="new")
    spend.loc[(day >= 60) & spend["user_id"].isin(["u1", "u2", "u3"]), "model"] = "claude-next"
    spend.loc[(spend["user_id"] == "u4") & (day >= 60), "product"] = "cowork"
    credit = spend[(spend["user_id"] == "u5") & (day == 50)].assign(amount_cents=-5000, product="credit")
    return pd.concat([spend, newcomer, credit])


def alone() -> pd.DataFrame:
    spend = steady("alone", 1)
    spend.loc[110, "amount_cents"] *= 40
    return spend


def days_of(spend: pd.DataFrame) -> pd.Series[int]:
    return pd.Series((one - FIRST).days for one in spend["activity_date"])


@pytest.fixture(scope="module")
def detected(dbt: Dbt, tmp_path_factory: pytest.TempPathFactory) -> Detected:
    """Return made-up organisations and small cases, with tokens and a holiday, scored in two builds."""
    path = tmp_path_factory.mktemp("detected") / "detected.duckdb"
    built = Detected(path, dbt.folder / "target")
    with connect(path) as connection:
        made_up = [make_organization(7, users=40, days=210), make_organization(8, users=3, days=210)]
        zeros, short = steady("zeros", 3).assign(amount_cents=0), steady("short", 2, days=3)
        for spend in (*(one.spend for one in made_up), eventful(), harmless(), alone(), zeros, short):
            store(connection, spend)
        prepare(connection)
        connection.execute(
            "update intermediate.int_daily_spend_series set total_tokens = cast(amount_usd * 400000 as bigint)"
        )
        connection.execute("insert into claude_raw.holidays values (?)", [HOLIDAY])
        connection.execute(
            "create table later as from intermediate.int_daily_spend_series where activity_date > '2025-07-20'"
        )
        connection.execute("create table later_pulls as from staging.stg_pull_days where activity_date > '2025-07-20'")
        connection.execute("delete from intermediate.int_daily_spend_series where activity_date > '2025-07-20'")
        connection.execute("delete from staging.stg_pull_days where activity_date > '2025-07-20'")
    built.detect()
    built.change(
        "insert into intermediate.int_daily_spend_series from later",
        "insert into staging.stg_pull_days select * replace (2 as pull_sequence) from later_pulls",
        "insert into marts.user_daily_spend values (2)",
        "insert into intermediate.int_user_spend_lines values (2)",
    )
    built.detect()
    return built


def day_number(day: dt.date) -> int:
    return (day - EPOCH).days


def test_the_scores_of_people_agree_with_numpy_day_by_day_and_build_by_build(detected: Detected) -> None:
    spend: dict[tuple[str, str, str, str], dict[int, float]] = defaultdict(dict)
    for organization, scope, value, day, amount, tokens in detected.query(
        """select organization_id, scope, scope_value, activity_date, amount_usd, total_tokens
        from intermediate.int_daily_spend_series where scope in ('user', 'user_product')"""
    ):
        if amount > 0.01:
            spend[organization, scope, value, "amount_usd"][day_number(day)] = float(amount)
        if tokens > 0:
            spend[organization, scope, value, "total_tokens"][day_number(day)] = float(tokens)
    wanted = Reference(spend, FLOORS).scores()
    rows = detected.query(
        """select organization_id, scope, scope_value, metric, activity_date, kind, score, expected, low, high,
            active_days, level_days
        from intermediate.int_person_scores"""
    )
    got = {((o, s, v, m), day_number(day), kind): figures for o, s, v, m, day, kind, *figures in rows}
    assert {kind for _, _, kind in got} == {"spike", "sustained", "chronic"}
    assert {series[3] for series, _, _ in got} == {"amount_usd", "total_tokens"}
    assert got.keys() == wanted.keys()
    for key, (score, expected, low, high, *days) in got.items():
        one = wanted[key]
        assert [*days] == [one.active_days, one.level_days]
        for figure, reference in ((score, one.score), (expected, one.expected), (low, one.low), (high, one.high)):
            assert math.isclose(figure, reference, rel_tol=1e-9), key


def test_the_scores_of_segments_agree_with_numpy_and_know_holidays_and_days_without_spend(detected: Detected) -> None:
    (known,) = detected.query(
        "select list(distinct activity_date) from intermediate.int_daily_spend_series where organization_id = 'backtest-7'"
    )
    days = sorted(known[0])
    got: dict[tuple[str, str], dict[int, float | None]] = defaultdict(dict)
    for scope, value, day, score in detected.query(
        """select scope, scope_value, activity_date, score from intermediate.int_segment_scores
        where organization_id = 'backtest-7' and metric = 'amount_usd'"""
    ):
        got[scope, value][day_number(day)] = score
    assert {scope for scope, _ in got} == {"organization", "product", "model"}
    for (scope, value), scores in got.items():
        amounts = dict(
            detected.query(
                """select activity_date, amount_usd from intermediate.int_daily_spend_series
                where organization_id = 'backtest-7' and scope = ? and scope_value = ?""",
                scope,
                value,
            )
        )
        first = min(amounts)
        series = {day_number(day): float(amounts.get(day, 0)) for day in days if day >= first}
        wanted = segment_scores(series, [day_number(HOLIDAY)])
        newest = 0 if scope == "organization" else day_number(first) + 45
        wanted = {day: score for day, score in wanted.items() if day >= newest}
        assert scores.keys() == wanted.keys(), (scope, value)
        for day, score in scores.items():
            reference = wanted[day]
            assert (score is None) == (reference is None)
            assert score is None or math.isclose(score, reference or 0, rel_tol=1e-9, abs_tol=1e-9)


def raised(detected: Detected, organization: str) -> dict[tuple[str, str, str], list[int]]:
    """Return the days on which each scope, value and kind is raised for its cost."""
    found: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for scope, value, kind, day in detected.query(
        """select scope, scope_value, kind, activity_date from intermediate.int_anomaly_days
        where organization_id = ? and metric = 'amount_usd' order by activity_date""",
        organization,
    ):
        found[scope, value, kind].append((day - FIRST).days)
    return dict(found)


def test_steady_people_raise_nothing_and_what_happens_to_one_is_raised_for_that_one(detected: Detected) -> None:
    found = raised(detected, "eventful")
    people = {key: days for key, days in found.items() if key[0] == "user"}
    assert {value for _, value, _ in people} == {"u1", "u2", "u3"}
    assert people["user", "u1", "spike"] == [100]
    assert min(people["user", "u2", "sustained"]) < 97
    assert ("user", "u2", "chronic") in people
    assert ("user", "u3", "chronic") in people
    assert ("user", "u3", "spike") not in people
    assert 50 in found["organization", "eventful", "spike"]
    assert ("user_product", "u1/chat", "spike") in found


def test_new_people_new_models_migrations_and_credits_do_not_cry_wolf(detected: Detected) -> None:
    found = raised(detected, "harmless")
    assert not [key for key in found if key[0] in {"user", "organization", "user_product"}]
    assert not [key for key in found if key[1] in {"claude-next", "cowork", "credit"}]


def test_a_single_person_an_empty_history_and_zeros_give_no_nonsense(detected: Detected) -> None:
    assert raised(detected, "alone")["user", "u0", "spike"] == [110]
    assert raised(detected, "zeros") == {}
    assert raised(detected, "short") == {}
