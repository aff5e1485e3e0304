"""Where our landing's CPU goes, stage by stage, and what one more day costs once there are many.

A stage's seconds are those of the whole process while it ran; threads that fetch at the same time overlap.

What is here: the timed stages, and days landed one after the other. What to add here: another stage of landing. What
must not go here: other contenders (`ingest.py`).
"""

from __future__ import annotations

import argparse
import datetime as dt
import functools
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.contenders import Job, onelens, onelens_settings
from benchmarks.pages import FIRST_DAY
from onelens_claude.api.endpoints import ENDPOINTS
from onelens_claude.landing import appending, asking, work
from onelens_claude.orchestration.resources import Onelens
from onelens_claude.warehouse import files as warehouse

if TYPE_CHECKING:
    from collections.abc import Callable

_STAGES = (
    (asking, "fetch", "download, read three fields, hash, spool"),
    (appending, "_insert_pages", "append verbatim pages"),
    (appending, "_insert_rows", "parse, check and append typed rows"),
    (appending, "_figures", "figures of each day"),
    (appending, "_record_drift", "look for unknown fields"),
    (work, "append_pulls", "whole transaction, commit included"),
    (warehouse.Warehouse, "_close", "close the file: checkpoint"),
)


def by_stage(job: Job) -> dict[str, float]:
    """Land once and return CPU seconds by stage; stages this version does not have are left out."""
    seconds: dict[str, float] = {}
    for owner, name, label in _STAGES:
        if hasattr(owner, name):
            setattr(owner, name, _timed(getattr(owner, name), label, seconds))
    seconds["start-up: imports and settings"] = time.process_time()
    onelens(job)
    seconds["all"] = time.process_time()
    return seconds


def _timed(function: Callable[..., Any], label: str, seconds: dict[str, float]) -> Callable[..., Any]:
    @functools.wraps(function)
    def timed(*arguments: Any, **named: Any) -> Any:
        started = time.process_time()
        try:
            return function(*arguments, **named)
        finally:
            seconds[label] = seconds.get(label, 0.0) + time.process_time() - started

    return timed


def day_by_day(base_url: str, work: Path, days: int) -> list[float]:
    """Land day after day into one warehouse, as years of daily runs do; return the CPU seconds of each."""
    product = Onelens(onelens_settings(work, base_url))
    endpoint = ENDPOINTS["user_cost_report"]
    seconds = []
    for number in range(days):
        started = time.process_time()
        outcomes = product.landing(endpoint.name).land(endpoint, {"bench": [FIRST_DAY + dt.timedelta(days=number)]})
        if outcomes[0].status != "loaded":
            raise SystemExit(f"not loaded: {outcomes}")
        seconds.append(time.process_time() - started)
    return seconds


def main() -> None:
    """Run one of the two."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("pages", type=Path)
    parser.add_argument("base_url")
    parser.add_argument("work", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--days", type=int, help="land this many days one by one")
    given = parser.parse_args()
    given.work.mkdir(parents=True)
    if given.days:
        given.result.write_text(json.dumps({"seconds": day_by_day(given.base_url, given.work, given.days)}))
    else:
        given.result.write_text(json.dumps(by_stage(Job(given.pages, given.base_url, given.work))))


if __name__ == "__main__":
    main()
