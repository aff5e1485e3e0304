"""Days revised at D-1, D-3, D-7, D-29 and D-31: what the `daily` makes of them, and what the past still says."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import BACKFILL_AT, DAILY_AT, NEWEST, REVISED_AGES
from .test_truth import AMOUNTS, COST_KEYS, COUNTERS, USAGE_KEYS, Stage, of_users, sums

if TYPE_CHECKING:
    from tests.worlds import World

WITHIN = [age for age in REVISED_AGES if age <= 30]
MARTS = {"fct_claude_costs": ("costs", COST_KEYS, AMOUNTS), "fct_claude_usage": ("usage", USAGE_KEYS, COUNTERS)}
BEFORE_THE_DAILY = "timestamp '2026-11-20 23:59:59'"


def day_of(age: int) -> dt.date:
    return NEWEST - dt.timedelta(days=age)


def users_of(world: World, age: int, table: str, moment: str) -> dict[str, Any]:
    """Return what the mart and the truth of a moment say of the users of one day, at full grain."""
    topic, keys, measures = MARTS[table]
    stage = Stage(world, "umbrella", moment)
    columns = tuple(f"{name}_cents" for name in measures) if topic == "costs" else measures
    rows = stage.rows(table, f"attribution = 'user' and activity_date = '{day_of(age)}'")
    day = str(day_of(age))
    true = of_users(stage.truth(topic, first=day, last=day))
    return {"mart": sums(rows, keys, columns), "truth": sums(true, keys, measures)}


@pytest.mark.parametrize("table", MARTS)
@pytest.mark.parametrize("age", WITHIN, ids=lambda age: f"D-{age}-{REVISED_AGES[age]}")
def test_a_day_revised_within_thirty_days_is_corrected_at_full_grain(loaded: World, age: int, table: str) -> None:
    before, after = (users_of(loaded, age, table, moment) for moment in (BACKFILL_AT, DAILY_AT))
    assert before["mart"] == before["truth"] != {}
    assert after["mart"] == after["truth"] != before["truth"]


@pytest.mark.parametrize("table", MARTS)
def test_a_day_revised_after_thirty_days_is_left_alone(loaded: World, table: str) -> None:
    before, after = (users_of(loaded, 31, table, moment) for moment in (BACKFILL_AT, DAILY_AT))
    assert before["truth"] != after["truth"], "the server did change it"
    assert before["mart"] == after["mart"] == before["truth"]
    revisions = loaded.rows(
        "from marts.cost_revisions where organization_id = 'umbrella' and activity_date = ?", day_of(31)
    )
    assert len(revisions) == 1


def test_the_kinds_of_revision_are_what_they_are_called(loaded: World) -> None:
    first, last = (Stage(loaded, "umbrella", moment) for moment in (BACKFILL_AT, DAILY_AT))

    def total(stage: Stage, age: int) -> Decimal:
        (row,) = stage.rows("cost_reconciliation", f"activity_date = '{day_of(age)}'")
        return Decimal(row["total_cents"])

    def users(stage: Stage, age: int) -> set[str]:
        rows = stage.rows("user_daily_spend", f"activity_date = '{day_of(age)}'")
        return {row["user_id"] for row in rows}

    assert total(last, 1) > total(first, 1)
    assert total(last, 3) < total(first, 3)
    assert total(last, 7) == 0
    assert users(last, 7) == set()
    (new,) = users(last, 29) - users(first, 29)
    assert new in {row["user_id"] for row in last.rows("dim_claude_users")}
    assert new not in {row["user_id"] for row in first.rows("dim_claude_users")}


@pytest.mark.parametrize("age", WITHIN)
def test_revisions_tell_what_each_pull_said_and_the_change_in_money(loaded: World, age: int) -> None:
    day = str(day_of(age))
    said = []
    for moment in (BACKFILL_AT, DAILY_AT):
        (true,) = Stage(loaded, "umbrella", moment).truth("days", first=day, last=day)
        said.append(Decimal(true["amount"]))
    rows = loaded.rows(
        """from marts.cost_revisions where organization_id = 'umbrella' and activity_date = ?
        order by revision_number""",
        day_of(age),
    )
    assert [row["total_cents"] for row in rows] == [said[0], *[said[1]] * (len(rows) - 1)]
    assert [row["change_cents"] for row in rows][:2] == [None, said[1] - said[0]]
    assert len(rows) >= 2


def test_the_past_is_what_the_marts_said_then_and_as_of_now_what_they_say_now(loaded: World) -> None:
    first = loaded.folder / "data" / "first.duckdb"
    columns = ", ".join((*COST_KEYS[1:], "activity_date", "organization_id", "amount_cents", "list_amount_cents",
                         "attribution", "finality", "pull_id"))  # fmt: skip
    then = loaded.rows(f"select {columns} from marts.fct_claude_costs order by all", path=first)
    now = loaded.rows(f"select {columns} from marts.fct_claude_costs order by all")
    assert then != now
    as_of = "select {} from marts.fct_claude_costs_as_of({}) order by all"
    assert loaded.rows(as_of.format(columns, BEFORE_THE_DAILY)) == then
    assert loaded.rows(as_of.format(columns, "timestamp '2100-01-01'")) == now
