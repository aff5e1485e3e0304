"""What Dagster costs at size: many days x nine assets in one run, and one `daily_job` to the published copy.

The organisation is tiny and the server knows no rate limit, so that the event log is what is measured. The same days
are landed once more without Dagster; the difference is Dagster's.

What is here: the runs with Dagster and without, and the size of the event log. What to add here: another job to cost.
What must not go here: large organisations (`ingest.py`, `models.py`).
"""

# ruff: noqa: PLC0415 - the measuring process imports this module and must stay small (measuring.py)
from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import resource
import sqlite3
import time
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import measuring

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from onelens_claude.settings import Settings

USERS = 10
FIRST_DAY = dt.date(2026, 1, 1)
_KEY = "sk-ant-api01-demo"
_MATERIALIZATION = "ASSET_MATERIALIZATION"


@dataclass(slots=True)
class Cost:
    """CPU of this process and its children, and time on the clock."""

    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0


@contextmanager
def costing() -> Iterator[Cost]:
    """Yield a cost that is filled at the end."""
    cost, cpu, wall = Cost(), _cpu_seconds(), time.monotonic()
    yield cost
    cost.cpu_seconds, cost.wall_seconds = _cpu_seconds() - cpu, time.monotonic() - wall


def measure(work: Path, base_url: str, days: int) -> dict[str, Any]:
    """Backfill `days` days through `ingest_job`, build the marts, then run `daily_job` on the next day."""
    from onelens_claude.cli.pulling import DAILY_CONFIG
    from onelens_claude.cli.runs import run_job
    from onelens_claude.ledger.due import due_range
    from onelens_claude.orchestration.assets.raw import IngestConfig
    from onelens_claude.orchestration.jobs import raw_config
    from onelens_claude.orchestration.partitions import range_tags
    from onelens_claude.orchestration.resources import Onelens

    last = FIRST_DAY + dt.timedelta(days=days - 1)
    settings = _settings(work, base_url)
    _set_clock(last)
    with costing() as warm_up:
        run_job("ingest_job", settings, tags=range_tags(last, last))
    home = Path(os.environ["DAGSTER_HOME"])
    before = _event_log(home)
    assets = [f"claude_raw/{endpoint.name}" for endpoint in settings.endpoints()]
    with costing() as backfill:
        tags = range_tags(FIRST_DAY, last)
        _require(run_job("ingest_job", settings, tags=tags, config=raw_config(IngestConfig()), assets=assets))
    after = _event_log(home)
    with costing() as landing:
        _land(_settings(work / "landing", base_url), last)
    with costing() as marts:
        _require(run_job("marts_job", settings))
    _set_clock(last + dt.timedelta(days=1))
    with costing() as daily:
        with Onelens(settings).warehouse().working_reader() as connection:
            due = due_range(connection, settings)
        published = settings.serving_path.stat().st_mtime_ns
        _require(run_job("daily_job", settings, tags=range_tags(*due), config=DAILY_CONFIG))
        if settings.serving_path.stat().st_mtime_ns == published:
            raise SystemExit("daily_job did not publish")
    events = after.events - before.events
    return {
        "days": days,
        "assets": len(settings.endpoints()),
        "materializations": events[_MATERIALIZATION],
        "events": events.total(),
        "by_type": dict(events.most_common(6)),
        "log_bytes": after.size - before.size,
        **{
            f"{name}_{kind}": getattr(cost, kind)
            for name, cost in (
                ("warm_up", warm_up),
                ("backfill", backfill),
                ("landing", landing),
                ("marts", marts),
                ("daily", daily),
            )
            for kind in ("cpu_seconds", "wall_seconds")
        },
    }


def text(found: Mapping[str, Any]) -> str:
    """Return the figures as a table and a sentence."""
    dagster = found["backfill_cpu_seconds"] - found["landing_cpu_seconds"]
    each = found["materializations"]
    rows = [
        ("ingest_job, one run", found["backfill_cpu_seconds"], found["backfill_wall_seconds"]),
        ("the same days landed without Dagster", found["landing_cpu_seconds"], found["landing_wall_seconds"]),
        ("marts_job, first build", found["marts_cpu_seconds"], found["marts_wall_seconds"]),
        ("daily_job, from launch to the published copy", found["daily_cpu_seconds"], found["daily_wall_seconds"]),
    ]
    table = "\n".join(
        ["| run | CPU s | wall s |", "| --- | --- | --- |"]
        + [f"| {name} | {cpu:.1f} | {wall:.1f} |" for name, cpu, wall in rows]
    )
    events = ", ".join(f"{count:,} {name}" for name, count in found["by_type"].items())
    return (
        f"{found['days']} days x {found['assets']} assets of {USERS} users in one run, the server without a limit:\n\n"
        f"{table}\n\n"
        f"Event log of the backfill: {found['events']:,} events ({found['events'] / each:.2f} per materialisation), "
        f"{found['log_bytes'] / 1e6:.1f} MB on disk ({found['log_bytes'] / each:,.0f} bytes per materialisation), "
        f"{1000 * dagster / each:.1f} ms CPU per materialisation. Most frequent: {events}."
    )


def _cpu_seconds() -> float:
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _set_clock(last: dt.date) -> None:
    """Let `last` be the newest day there is."""
    os.environ["ONELENS_NOW"] = f"{last + dt.timedelta(days=1)}T12:00:00+00:00"


def _settings(folder: Path, base_url: str) -> Settings:
    import yaml

    from onelens_claude.settings import load_settings

    folder.mkdir(parents=True, exist_ok=True)
    organization = {"id": "bench", "api_key_env": "ONELENS_BENCH_KEY", "base_url": base_url}
    content = {"organizations": [organization], "polling": {"requests_per_minute": 100_000}}
    (folder / "onelens.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return load_settings(folder / "onelens.yaml")


def _land(settings: Settings, last: dt.date) -> None:
    from onelens_claude.orchestration.resources import Onelens

    days = [FIRST_DAY + dt.timedelta(days=n) for n in range((last - FIRST_DAY).days + 1)]
    for endpoint in settings.endpoints():
        Onelens(settings).landing(endpoint.name).land(endpoint, {"bench": days})


def _require(result: Any) -> None:
    if not result.success:
        raise SystemExit(f"a run failed: {result.failures}")


@dataclass(frozen=True, slots=True)
class _EventLog:
    events: Counter[str]
    size: int


def _event_log(home: Path) -> _EventLog:
    """Count the events of every run's own database, and the bytes of all of them and their index."""
    folder = home / "history"
    events: Counter[str] = Counter()
    for path in (folder / "runs").glob("*.db"):
        with closing(sqlite3.connect(path)) as connection:
            if path.stem == "index":
                continue
            rows = connection.execute(
                "select coalesce(dagster_event_type, 'log line'), count(*) from event_logs group by 1"
            )
            events.update(dict(rows.fetchall()))
    return _EventLog(events, sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()))


def main() -> None:
    """Measure in the folder given and write the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--days", type=int, required=True)
    parser.add_argument("--result", type=Path, required=True)
    given = parser.parse_args()
    os.environ |= {"ONELENS_BENCH_KEY": _KEY, "DAGSTER_HOME": str(given.work / "home")}
    for variable in ("ONELENS_CONFIG", "ONELENS_WAREHOUSE", "ONELENS_SERVING"):
        os.environ.pop(variable, None)
    given.result.write_text(json.dumps(measure(given.work, given.base_url, given.days)))


def serve_command(days: int) -> list[str]:
    """Return the command of the server: it stands at the end of the day after the last."""
    now = f"{FIRST_DAY + dt.timedelta(days=days + 1)}T12:00:00Z"
    options = {"--users": USERS, "--rpm": 0, "--now": now, "--from": FIRST_DAY, "--key": _KEY}
    return measuring.python("onelens_claude.fake_api", *(part for option in options.items() for part in option))


if __name__ == "__main__":
    main()
