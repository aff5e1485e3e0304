"""A day is tested when it is written, once, and no build escapes: not one whose tests never ran, not one that failed."""

from __future__ import annotations

import shutil
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest

from onelens_claude.warehouse.connections import connect
from tests.dbt_project.raw_rows import DAY, D, RawWarehouse, cost

if TYPE_CHECKING:
    from pathlib import Path

    from tests.dbt_project.conftest import Dbt

SELECTED = (
    "--indirect-selection=cautious",
    "--exclude=test_type:unit",
    "--select",
    "+cost_reconciliation",
    "+dim_claude_users",
)
GRAIN = "unique_grain_fct_claude_costs"


class Days:
    """A warehouse that gets one day of costs after the other."""

    def __init__(self, path: Path) -> None:
        self.raw = RawWarehouse(path)
        self.raw.organization("acme")

    def pull(self, number: int) -> None:
        report = [cost("5", query="total"), cost("5")]
        self.raw.costs("acme", D + number * DAY, [cost("3", user="u1")], report)
        self.raw.write()

    def execute(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with connect(self.raw.path) as connection:
            return connection.execute(sql, list(parameters)).fetchall()

    def double_a_line(self, number: int) -> None:
        """Write a user's line of a day twice, as a broken model would, and leave the day's total as it is."""
        self.execute(
            "insert into marts.fct_claude_costs select * replace (0 as amount_cents, 0 as list_amount_cents)"
            " from marts.fct_claude_costs where activity_date = ? and user_id is not null",
            D + number * DAY,
        )


@pytest.fixture(scope="module")
def one_day(dbt: Dbt, tmp_path_factory: pytest.TempPathFactory) -> Days:
    days = Days(tmp_path_factory.mktemp("days") / "marts.duckdb")  # a file may be called like a schema
    days.pull(0)
    dbt(days.raw.path, "build", *SELECTED)
    return days


@pytest.fixture
def days(one_day: Days, tmp_path: Path) -> Days:
    """Return the built day in a file of its own."""
    days = deepcopy(one_day)
    days.raw.path = tmp_path / one_day.raw.path.name
    shutil.copyfile(one_day.raw.path, days.raw.path)
    return days


def failed(output: str, test: str = GRAIN) -> bool:
    return any("FAIL" in line and test in line for line in output.splitlines())


def test_a_fact_that_does_not_add_up_fails_every_build_until_it_is_written_anew(dbt: Dbt, days: Days) -> None:
    days.pull(1)
    dbt(days.raw.path, "run", *SELECTED)
    days.execute("update marts.fct_claude_costs set list_amount_cents = list_amount_cents + 0.000000000001")
    days.pull(2)
    for _ in range(2):
        output = dbt(days.raw.path, "build", *SELECTED, succeeds=False)
        assert failed(output, "reconciliation_is_exact")
    dbt(days.raw.path, "build", "--full-refresh", *SELECTED)


def test_a_build_whose_tests_never_ran_or_failed_is_tested_by_the_next(dbt: Dbt, days: Days) -> None:
    days.pull(1)
    dbt(days.raw.path, "run", *SELECTED)
    days.double_a_line(1)
    days.pull(2)
    assert failed(dbt(days.raw.path, "build", *SELECTED, succeeds=False))
    days.pull(3)
    assert failed(dbt(days.raw.path, "build", *SELECTED, succeeds=False))


def test_a_line_left_over_from_an_older_build_of_the_same_day_is_found(dbt: Dbt, days: Days) -> None:
    days.pull(0)
    dbt(days.raw.path, "run", *SELECTED)
    days.execute("update marts.fct_claude_costs set built_through_sequence = 1 where user_id is not null")
    days.execute("insert into marts.fct_claude_costs select * from marts.fct_claude_costs where user_id is not null")
    assert failed(dbt(days.raw.path, "test", *SELECTED, succeeds=False))


def test_a_day_that_passed_is_not_tested_again(dbt: Dbt, days: Days) -> None:
    days.double_a_line(0)
    days.pull(1)
    dbt(days.raw.path, "build", *SELECTED)
    assert not failed(dbt(days.raw.path, "build", "--full-refresh", *SELECTED))  # it is written anew, once
    tested = dict(days.execute("select * from staging.tested_builds"))
    assert tested["fct_claude_costs"] == tested["cost_reconciliation"] == len(days.raw.pulls)
