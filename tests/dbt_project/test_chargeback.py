"""`chargeback` over the built marts: what finance reads adds up, on the screen and in a file.

What belongs here: the command. What does not: who pays for whom (`test_teams.py`).
"""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.worlds import process_environment, run_main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.dbt_project.conftest import Built

    Run = Callable[..., int]


@pytest.fixture
def run(built: Built, tmp_path: Path) -> Iterator[Run]:
    settings = tmp_path / "onelens.yaml"
    ids = ", ".join(f"{{id: {name}, api_key_env: NONE}}" for name in ("random-a", "people", "adoption"))
    settings.write_text(f"warehouse: {{path: w.duckdb, serving_path: {built.path}}}\norganizations: [{ids}]\n")
    with process_environment({"ONELENS_CONFIG": str(settings)}):
        yield lambda *arguments: run_main(["chargeback", *arguments])


def fact(built: Built, organization_id: str, month: str) -> Decimal:
    sql = f"""select sum(amount_usd) from marts.fct_claude_costs
        where organization_id = ? and date_trunc('month', activity_date) = date '{month}-01'"""
    return built.query(sql, organization_id)[0][0]


def test_the_json_of_a_month_has_every_digit_and_the_sum_of_the_fact(
    built: Built, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--month", "2026-04", "--org", "random-a", "--json") == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    charged = sum(Decimal(row["amount_usd"]) for row in told["teams"])
    assert charged == Decimal(told["organizations"][0]["fact_usd"]) == fact(built, "random-a", "2026-04")
    assert {row["team"] for row in told["teams"]} >= {"Research", "Sales", "(unattributed)"}


def test_the_file_for_finance_has_the_same_rows_and_no_formula(
    built: Built, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "april.csv"
    assert run("--month", "2026-04", "--csv", str(path)) == 0
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    of_one = [Decimal(row["amount_usd"]) for row in rows if row["organization_id"] == "random-a"]
    assert sum(of_one) == fact(built, "random-a", "2026-04")
    assert [name.name for name in tmp_path.iterdir() if "part" in name.name] == []
    assert f"{len(rows)} rows written to {path}" in capsys.readouterr().err.replace("\n", "")


def test_the_table_ends_with_the_sum_and_says_what_can_still_change(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--month", "2026-03", "--org", "people") == 0
    out, err = capsys.readouterr()
    assert "total" in out.splitlines()[-2]
    assert "0.07" in out.splitlines()[-2]
    assert (
        "people: the total is the fact's, 0.07000000000000 US dollars; 2 days can still be revised, 29 days not held."
        in err
    )
    assert "The settings name no teams" in err


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["--month", "2025-01"], 1, "random-a, people, adoption: no cost of 2025-01 is held"),
        (["--month", "2026-13"], 2, "--month '2026-13': there is no such month"),
        (["--month", "April"], 2, "--month 'April': must be a month such as 2026-10"),
        (["--month", "2026-04", "--org", "nobody"], 2, "no organisation 'nobody'"),
        (["--month", "2026-04", "--csv", "/nowhere/x.csv"], 1, "/nowhere/x.csv: cannot be written"),
    ],
)
def test_what_cannot_be_told_is_refused_in_a_sentence(
    run: Run, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, reason: str
) -> None:
    assert run(*arguments) == code
    assert reason in capsys.readouterr().err
