"""Rounds of all contenders over the same pages, interleaved, so that a busy moment hits all of them.

What is here: the rounds, and the check that every contender stored the same rows and the same sum. What to add here:
another scenario. What must not go here: how a contender loads (`contenders.py`).
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from benchmarks import measuring
from benchmarks.pages import INDEX, NOW

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CHEAP = ("download", "read_json", "onelens", "pandas")
ALL = (*CHEAP, "official", "dlt")


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is served: users and days."""

    users: int
    days: int
    rounds: int
    """Of the cheap contenders; the expensive ones take part in the first `expensive_rounds`."""
    expensive_rounds: int = 1

    def __str__(self) -> str:
        return f"{self.users:,} users x {self.days} day{'s' if self.days > 1 else ''}"


@dataclass(slots=True)
class Ingested:
    """What came of one scenario."""

    scenario: Scenario
    json_bytes: int
    rows: int
    contenders: dict[str, measuring.Measurement] = field(default_factory=dict)
    page_bytes: int = 0
    stages: dict[str, float] = field(default_factory=dict)

    @property
    def floor(self) -> float:
        """CPU seconds of downloading alone and read_json alone, added."""
        return self.contenders["download"].cpu_seconds + self.contenders["read_json"].cpu_seconds

    def ratio(self, name: str) -> float:
        """How many times our CPU another contender takes."""
        return self.contenders[name].cpu_seconds / self.contenders["onelens"].cpu_seconds


def measure(scenario: Scenario, work: Path, say: Callable[[str], None]) -> Ingested:
    """Generate the pages, serve them and run the rounds; every contender must store every row and cent."""
    pages = work / "pages"
    measuring.run(measuring.python("benchmarks.pages", pages, scenario.users, scenario.days))
    index = json.loads((pages / INDEX).read_text())
    ingested = Ingested(scenario, index["bytes"], index["rows"])
    runs: dict[str, list[measuring.Measurement]] = {name: [] for name in ALL}
    with measuring.serving(measuring.python("benchmarks.page_server", pages)) as base_url:
        for number in range(scenario.rounds):
            for name in ALL if number < scenario.expensive_rounds else CHEAP:
                target = work / "run"
                shutil.rmtree(target, ignore_errors=True)
                run = _run("contenders", name, pages, base_url, target, "{result}")
                _check(name, run.result, index)
                runs[name].append(run)
                if name == "onelens":
                    database = next(target.rglob("*.duckdb"))
                    measured = _run("storage", database, "{result}").result
                    ingested.page_bytes = measured["page_bytes"]
                say(f"  {name:10} {run.cpu_seconds:7.2f} s CPU  {run.peak_mb:6.0f} MB")
        shutil.rmtree(work / "run", ignore_errors=True)
        ingested.stages = _run("stages", pages, base_url, work / "run", "{result}").result
    ingested.contenders = {name: measuring.median(measured) for name, measured in runs.items()}
    shutil.rmtree(pages)
    return ingested


def measure_day_by_day(users: int, days: int, work: Path) -> list[float]:
    """Land day after day into one warehouse; return the CPU seconds of each."""
    pages = work / "pages"
    measuring.run(measuring.python("benchmarks.pages", pages, users, days, "--separately"))
    shutil.rmtree(work / "run", ignore_errors=True)
    with measuring.serving(measuring.python("benchmarks.page_server", pages)) as base_url:
        run = _run("stages", pages, base_url, work / "run", "{result}", "--days", days)
    shutil.rmtree(pages)
    return [float(seconds) for seconds in run.result["seconds"]]


def _run(module: str, *arguments: object) -> measuring.Measurement:
    return measuring.run(measuring.python(f"benchmarks.{module}", *arguments), environment={"ONELENS_NOW": NOW})


def _check(name: str, result: dict[str, Any], index: dict[str, Any]) -> None:
    if name == "download":
        is_whole = result["bytes"] == index["bytes"]
    else:
        is_whole = result["rows"] == index["rows"] and Decimal(result["total_cents"]) == Decimal(index["total_cents"])
    if not is_whole:
        raise measuring.FailedError(f"{name} stored {result}, not {index['rows']} rows of {index['total_cents']} cents")
