"""`python -m benchmarks`: run everything and write docs/benchmarks.md.

`--quick` takes a few minutes at small sizes and writes nothing but to stdout; `--full` takes about 25 minutes.

What is here: the order of the measurements, their sizes, and the progress that is told. What to add here: a call of
another measurement. What must not go here: measuring itself and the words of the report (`report.py`).
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import ingest, measuring, models, orchestration, report, side_by_side
from benchmarks.pages import NOW

if TYPE_CHECKING:
    from collections.abc import Callable

_FULL = (
    ingest.Scenario(10_000, 1, rounds=3, expensive_rounds=1),
    ingest.Scenario(1_000, 30, rounds=2),
    ingest.Scenario(100_000, 1, rounds=3),
)
_QUICK = (ingest.Scenario(1_000, 1, rounds=2), ingest.Scenario(100, 10, rounds=1))
_TINY = (ingest.Scenario(20, 1, rounds=1),)


def say(text: str) -> None:
    """Tell who watches how far it is; results go to stdout and the page."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def run(parts: set[str], size: str, work: Path) -> report.Results:
    """Measure the parts asked for; what fails is named on the page and does not stop the others."""
    results = report.Results(quick=size != "full")
    started = time.monotonic()
    for part in (part for part in PARTS if part in parts):
        try:
            _MEASURE[part](results, size, work)
        except measuring.FailedError as error:
            say(f"{part} failed: {error}")
            results.failed[part] = str(error)
    results.seconds = time.monotonic() - started
    return results


def _ingest(results: report.Results, size: str, work: Path) -> None:
    for scenario in {"full": _FULL, "quick": _QUICK, "tiny": _TINY}[size]:
        say(f"ingest: {scenario}")
        results.ingested.append(ingest.measure(scenario, work, say))


def _day_by_day(results: report.Results, size: str, work: Path) -> None:
    users, days = {"full": (10_000, 12), "quick": (1_000, 6), "tiny": (20, 2)}[size]
    say(f"ingest: {users:,} users, {days} days one by one")
    results.day_by_day = ingest.measure_day_by_day(users, days, work)


def _models(results: report.Results, size: str, work: Path) -> None:
    users, histories = {"full": (10_000, (60, 330)), "quick": (500, (20, 60)), "tiny": (20, (3,))}[size]
    project = models.copy_project(work / "models")
    for days in histories:
        say(f"dbt: {users:,} users x {days} days")
        results.histories.append(models.measure_history(project, work, users, days, memory_limit="2GB"))


def _side_by_side(results: report.Results, _: str, work: Path) -> None:
    say("side by side with dlt")
    with measuring.serving(side_by_side.serve_command()) as base_url:
        command = measuring.python("benchmarks.side_by_side", base_url, work / "side_by_side", "{result}")
        results.side_by_side = measuring.run(command).result


def _backfill(results: report.Results, size: str, work: Path) -> None:
    days, scale = {"full": (240, 10.0), "quick": (30, 20.0), "tiny": (2, 100.0)}[size]
    say(f"backfill: nine endpoints, {days} days, time runs {scale:g} times faster")
    folder = work / "backfill"
    with measuring.serving(measuring.python("benchmarks.backfill", scale)) as base_url:
        command = measuring.python("benchmarks.backfill", scale, "--base-url", base_url, "--work", folder)
        measured = measuring.run(
            [*command, "--days", str(days), "--result", "{result}"], environment={"ONELENS_NOW": NOW}
        )
    results.backfill = {**measured.result, "days": days, "scale": scale}


def _dagster(results: report.Results, size: str, work: Path) -> None:
    days = {"full": 326, "quick": 60, "tiny": 3}[size]
    say(f"dagster: {days} days x 9 assets in one run, then daily_job")
    with measuring.serving(orchestration.serve_command(days)) as base_url:
        command = measuring.python("benchmarks.orchestration", "--base-url", base_url, "--work", work / "dagster")
        results.dagster = measuring.run([*command, "--days", str(days), "--result", "{result}"]).result


_MEASURE: dict[str, Callable[[report.Results, str, Path], None]] = {
    "ingest": _ingest,
    "day_by_day": _day_by_day,
    "backfill": _backfill,
    "dagster": _dagster,
    "side_by_side": _side_by_side,
    "models": _models,
}
PARTS = tuple(_MEASURE)


def main() -> None:
    """Read the flags, measure, write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", dest="size", action="store_const", const="quick", help="minutes, small sizes")
    size.add_argument(
        "--full", dest="size", action="store_const", const="full", help="the sizes of the goals (default)"
    )
    size.add_argument("--tiny", dest="size", action="store_const", const="tiny", help="seconds, only to see it run")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS, help="measure only these parts")
    parser.add_argument("--out", type=Path, help="file for the page (default of --full: docs/benchmarks.md)")
    parser.add_argument("--work", type=Path, help="parent of the folder for generated data (4 GB for --full)")
    given = parser.parse_args()
    asked = given.size or "full"
    work = Path(tempfile.mkdtemp(prefix="onelens-bench-", dir=given.work))
    try:
        page = report.markdown(run(set(given.only), asked, work))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    out = given.out or (measuring.PROJECT_ROOT / "docs" / "benchmarks.md" if asked == "full" else None)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(page, encoding="utf-8")
    sys.stdout.write(page)


if __name__ == "__main__":
    main()
