"""The dbt models at size: a full build, one revised day after it, and what analysts ask of the result.

The dbt project is copied first, so that nobody's edit changes it half-way. Its tests run too, as in production.

What is here: building over a copy of the project, and the questions asked afterwards. What to add here: another
question or kind of change. What must not go here: the raw tables underneath (`history.py`).
"""

# ruff: noqa: PLC0415 - the measuring process imports this module and must stay small (measuring.py)
from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import measuring

QUERIES = {
    "top users this month": """
        select user_id, email, amount_usd, spend_rank from marts.user_monthly_spend
        join marts.dim_claude_users using (organization_id, user_id)
        where month = date '2026-11-01' order by spend_rank limit 20""",
    "daily spend by product": """
        select activity_date, product, amount_usd from marts.product_daily_spend order by activity_date, product""",
    "month to date against budget": """
        select sum(amount_usd) as spent_usd, 250000.00 as limit_usd, sum(amount_usd) / 250000.00 as share_used
        from marts.fct_claude_costs where activity_date >= date '2026-11-01'""",
    "month to date of every user": """
        select user_id, sum(amount_usd) from marts.user_daily_spend
        where activity_date >= date '2026-11-01' group by user_id order by 2 desc""",
}


@dataclass(frozen=True, slots=True)
class Build:
    """One dbt build."""

    measured: measuring.Measurement
    slowest: list[tuple[str, float]]
    failures: list[str]


@dataclass(frozen=True, slots=True)
class History:
    """A history built whole, then with one revised day, then with nothing new."""

    users: int
    days: int
    fact_rows: int
    full: Build
    revised: Build
    queries: dict[str, list[float]]
    """Seconds: the first with a fresh connection, then the others."""
    file_bytes: int


def measure_history(project: Path, work: Path, users: int, days: int, memory_limit: str) -> History:
    """Generate, build, revise one day and build again, publish, ask."""
    database = work / f"history_{days}.duckdb"
    measuring.run(measuring.python("benchmarks.history", database, users, "--days", days))
    full = build(project, database, memory_limit)
    measuring.run(measuring.python("benchmarks.history", database, users))
    revised = build(project, database, memory_limit)
    asked = measuring.run(measuring.python("benchmarks.models", database, "{result}")).result
    size = database.stat().st_size
    for file in (database, database.with_name("serving.duckdb")):
        file.unlink()
    return History(users, days, asked["fact_rows"], full, revised, asked["seconds"], size)


def copy_project(work: Path) -> Path:
    """Copy the dbt project and parse it, so that a build starts as production's does."""
    project = work / "dbt_project"
    work.mkdir(parents=True, exist_ok=True)
    ignored = shutil.ignore_patterns("target", "logs", ".*")
    shutil.copytree(measuring.PROJECT_ROOT / "dbt_project", project, ignore=ignored)
    measuring.run(_dbt(project, "parse"))
    return project


def build(project: Path, database: Path, memory_limit: str = "4GB") -> Build:
    """Run what the daily job runs. Failed tests are reported, a failed model raises FailedError."""
    measured = measuring.run(
        _dbt(project, "build", "--exclude-resource-type", "unit_test"),
        environment={"ONELENS_WAREHOUSE": str(database), "ONELENS_MEMORY_LIMIT": memory_limit},
        ok=(0, 1),
    )
    results = json.loads((project / "target" / "run_results.json").read_text())["results"]
    bad = [one for one in results if one["status"] in {"error", "fail", "skipped"}]
    if any(one["unique_id"].startswith("model.") for one in bad):
        raise measuring.FailedError("; ".join(f"{one['unique_id']}: {one['message']}" for one in bad))
    results.sort(key=lambda one: -one["execution_time"])
    slowest = [(one["unique_id"].split(".")[2][:60], float(one["execution_time"])) for one in results[:8]]
    return Build(measured, slowest, [one["unique_id"].split(".")[2] for one in bad])


def _dbt(project: Path, *arguments: str) -> list[str]:
    folders = ("--project-dir", str(project), "--profiles-dir", str(project), "--target-path", str(project / "target"))
    executable = str(Path(sys.executable).with_name("dbt"))
    return [executable, "--log-path", str(project / "logs"), *arguments, *folders]


def ask(database: Path) -> dict[str, Any]:
    """Publish the serving copy and time every query on it: once on a fresh connection, then five times more."""
    from onelens_claude.warehouse.files import Warehouse

    warehouse = Warehouse(database, database.with_name("serving.duckdb"))
    warehouse.publish()
    seconds: dict[str, list[float]] = {}
    for name, query in QUERIES.items():
        started = time.perf_counter()
        with warehouse.reader() as connection:
            times = []
            for _ in range(6):
                connection.execute(query).fetchall()
                times.append(time.perf_counter() - started)
                started = time.perf_counter()
        seconds[name] = times
    with warehouse.reader() as connection:
        row = connection.execute("select count(*) from marts.fct_claude_costs").fetchone()
    return {"seconds": seconds, "fact_rows": row[0] if row else 0}


def warm(times: list[float]) -> float:
    """Return the median of all but the first, in seconds."""
    return statistics.median(times[1:])


def main() -> None:
    """Time the queries on one built database."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("database", type=Path)
    parser.add_argument("result", type=Path)
    given = parser.parse_args()
    given.result.write_text(json.dumps(ask(given.database)))


if __name__ == "__main__":
    main()
