"""The figures beside their goals, as docs/benchmarks.md.

What is here: goals, verdicts, tables and, for each goal that can be missed, why and what would be needed.
What to add here: a goal or a table. What must not go here: measuring, which each other module does.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from benchmarks import measuring, orchestration, side_by_side
from benchmarks.models import warm

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.ingest import Ingested
    from benchmarks.models import Build, History

_NAMES = {
    "download": "floor: requests, download alone",
    "read_json": "floor: DuckDB read_json of local files alone",
    "onelens": "**onelens_claude: landing**",
    "pandas": "requests + json + pandas + insert",
    "official": "official client + its models + pandas",
    "dlt": "dlt rest_api, jsonl, into DuckDB",
}
_START_UP = "Start-up and imports, 0.3 CPU s of ours, are most of a small load; see the stages."
_STORING = """Beyond the floor, verbatim pages and typed rows are written and compressed, which the floor does not do;
  see the stages. Most is the compression of the rows' texts: fewer columns would help."""
_BECAUSE = {
    "floor": _STORING,
    "pandas": f"{_START_UP} {_STORING}",
    "dlt": f"{_START_UP} {_STORING}",
    "official": f"{_START_UP} {_STORING}",
    "growth": "The same causes as for the floor.",
    "memory": """What is appended is held until a row group of 122,880 rows is full. Smaller row groups take half, but
  dbt's connection merges them again; see DECISIONS.md.""",
    "stored": "At small sizes a page takes whole blocks of 256 KB.",
    "day by day": "Row groups that are merged at a checkpoint are rewritten.",
    "revised": "dbt's own start and some 200 nodes, about 11 CPU s at any size, are part of it; see the slowest nodes.",
    "history": "See the slowest nodes below: what reads the whole history, not the touched days.",
    "full": "DuckDB spills beyond the limit; Python and dbt come on top of it.",
    "queries": "The serving copy is asked as it is; a mart at the query's grain answers in milliseconds.",
    "backfill": "The shared limit uses 96 % of the rate, which alone is 1.04x.",
}


@dataclass(slots=True)
class Results:
    """Everything that was measured; what a run left out stays empty."""

    quick: bool
    ingested: list[Ingested] = field(default_factory=list)
    day_by_day: list[float] = field(default_factory=list)
    histories: list[History] = field(default_factory=list)
    """The short one, then the long one."""
    backfill: dict[str, Any] = field(default_factory=dict)
    dagster: dict[str, Any] = field(default_factory=dict)
    side_by_side: dict[str, Any] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    """Part to why it could not be measured."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Goal:
    """One figure and the bound it is held against."""

    key: str
    figure: str
    value: float
    bound: float
    unit: str = "x"
    at_least: bool = False

    @property
    def is_met(self) -> bool:
        """Tell whether the figure is within its bound."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    @property
    def row(self) -> list[str]:
        """Return the row of the table of goals."""
        off = self.bound / self.value if self.at_least else self.value / self.bound
        verdict = "met" if self.is_met else f"**missed {off:.2f} times**"
        sign = ">=" if self.at_least else "<="
        return [self.figure, f"{sign} {_amount(self.bound, self.unit)}", _amount(self.value, self.unit), verdict]


def goals(results: Results) -> list[Goal]:
    """Return every goal that this run has a figure for."""
    found = []
    for one in results.ingested:
        ours = one.contenders["onelens"]
        found += [
            Goal("floor", f"ingest, CPU against the floor: {one.scenario}", ours.cpu_seconds / one.floor, 1.5),
            Goal("dlt", f"less CPU than dlt: {one.scenario}", one.ratio("dlt"), 6, at_least=True),
            Goal("pandas", f"less CPU than requests + pandas: {one.scenario}", one.ratio("pandas"), 2, at_least=True),
            Goal(
                "official", f"less CPU than official client: {one.scenario}", one.ratio("official"), 10, at_least=True
            ),
            Goal("stored", f"stored pages of JSON bytes: {one.scenario}", one.page_bytes / one.json_bytes, 1 / 12),
        ]
        bound = {10_000: 250.0, 100_000: 500.0}.get(one.scenario.users)
        if bound:
            found.append(Goal("memory", f"peak memory: {one.scenario}", ours.peak_mb, bound, "MB"))
    by_users = {one.scenario.users: one for one in results.ingested if one.scenario.days == 1}
    if {10_000, 100_000} <= set(by_users):
        large, small = by_users[100_000].contenders["onelens"], by_users[10_000].contenders["onelens"]
        found.append(Goal("growth", "CPU of 100,000 users of 10,000", large.cpu_seconds / small.cpu_seconds, 11))
    if results.day_by_day:
        figure = f"(not in the issue) day {len(results.day_by_day)} of days landed one by one, CPU of day 2"
        found.append(Goal("day by day", figure, _last_to_second(results.day_by_day), 1.3))
    return found + _model_goals(results)


def _model_goals(results: Results) -> list[Goal]:
    found = []
    if results.histories:
        short, long = results.histories[0], results.histories[-1]
        size = f"{long.users:,} users x {long.days} days"
        full, revised = long.full.measured, long.revised.measured
        found = [
            Goal("revised", f"one revised day of the full build: {size}", revised.cpu_seconds / full.cpu_seconds, 0.1),
            Goal(
                "history",
                f"one revised day, {long.days} days of history against {short.days}",
                revised.cpu_seconds / short.revised.measured.cpu_seconds,
                1.3,
            ),
            Goal(
                "full",
                f"full build with memory_limit 2 GB, {long.fact_rows:,} fact rows: peak",
                full.peak_mb,
                2500,
                "MB",
            ),
        ]
        found += [
            Goal("queries", f"query: {name}", warm(times) * 1000, 300, "ms") for name, times in long.queries.items()
        ]
    if results.backfill:
        asked = results.backfill["requests"]
        figure = f"simulated backfill of {asked:,} requests, of requests / rate"
        found.append(Goal("backfill", figure, results.backfill["seconds"] / asked, 1.05))
    return found


def markdown(results: Results) -> str:
    """Return docs/benchmarks.md."""
    checked = goals(results)
    parts = [
        "# Benchmarks",
        _INTRODUCTION.strip(),
        f"This run took {results.seconds / 60:.0f} minutes." + (_QUICK if results.quick else ""),
        "## Machine",
        "\n".join(f"- {line}" for line in _machine()),
        "## Goals",
        _table(["figure", "goal", "measured", "verdict"], [goal.row for goal in checked]),
    ]
    missed = {goal.key: goal for goal in checked if not goal.is_met}
    if missed:
        parts += [
            "## Missed, and why",
            "\n".join(f"- **{key}**: {_BECAUSE[key]}" for key in missed),
        ]
    if results.failed:
        failures = [f"- {part}:\n\n```\n{reason[-1500:]}\n```" for part, reason in results.failed.items()]
        parts += ["## Not measured", "\n".join(failures)]
    parts += _ingest_parts(results)
    parts += _model_parts(results)
    if results.backfill:
        parts += ["## Simulated backfill", _backfill_text(results.backfill)]
    if results.dagster:
        parts += ["## Dagster", orchestration.text(results.dagster)]
    if results.side_by_side:
        parts += ["## Side by side with dlt: the same served organisation", *_side_by_side_parts(results.side_by_side)]
    return "\n\n".join(parts) + "\n"


_INTRODUCTION = """
Each contender is a process of its own; CPU seconds are user and system time of its whole process tree, start-up and
imports included, peak memory is that of its largest process. Contenders take turns in rounds; the median is shown.
Read ratios, not seconds: they are of one run on one machine. Pages are those of `user_cost_report` with its seven
dimensions, about 3.1 KB per user and day, served by a static file server in another process. Every contender must have
stored every row and every cent, or the run fails. The floor is two things alone, added: getting the pages with requests
and dropping them, and DuckDB's `read_json` of the same files with explicit types into a table in memory. Both and ours
run without pandas, which the product does not bring and DuckDB would import where it finds it.
"""


_QUICK = " It is a quick one: at small sizes start-up is most of everything, and the goals do not apply."


def _ingest_parts(results: Results) -> list[str]:
    parts: list[str] = []
    for one in results.ingested:
        rows = [
            [
                _NAMES[name],
                f"{run.cpu_seconds:.2f}",
                f"{run.cpu_seconds / one.contenders['onelens'].cpu_seconds:.2f}",
                f"{run.wall_seconds:.2f}",
                f"{run.peak_mb:.0f}",
            ]
            for name, run in one.contenders.items()
        ]
        file_bytes = one.contenders["onelens"].result["file_bytes"]
        stages = [[name, f"{seconds:.2f}"] for name, seconds in one.stages.items()]
        parts += [
            f"## Ingest: {one.scenario}",
            _sizes(one, file_bytes),
            _table(["contender", "CPU s", "of ours", "wall s", "peak MB"], rows),
            _table(["stage of our landing (one run)", "CPU s"], stages),
        ]
    if results.day_by_day:
        listed = ", ".join(f"{seconds:.2f}" for seconds in results.day_by_day)
        parts += ["## Ingest: day by day into one file", f"CPU seconds of each day, in order: {listed}."]
    return parts


def _sizes(one: Ingested, file_bytes: int) -> str:
    return (
        f"{one.json_bytes / 1e6:.1f} MB of JSON, {one.rows:,} rows. Stored pages take {one.page_bytes / 1e6:.1f} MB "
        f"(1/{one.json_bytes / max(one.page_bytes, 1):.1f}), the whole file with typed rows and ledger "
        f"{file_bytes / 1e6:.1f} MB (1/{one.json_bytes / file_bytes:.1f})."
    )


def _model_parts(results: Results) -> list[str]:
    parts: list[str] = []
    for history in results.histories:
        parts += [
            f"## dbt: {history.users:,} users x {history.days} days",
            f"{history.fact_rows:,} fact rows; the file has {history.file_bytes / 1e9:.2f} GB without verbatim pages.",
            _table(
                ["build", "CPU s", "wall s", "peak MB", "tests failed"],
                [_build_row("full", history.full), _build_row("one revised day", history.revised)],
            ),
            _table(
                ["slowest nodes, full", "s", "slowest nodes, revised day", "s"],
                [
                    [full, f"{full_seconds:.1f}", revised, f"{revised_seconds:.1f}"]
                    for (full, full_seconds), (revised, revised_seconds) in zip(
                        history.full.slowest, history.revised.slowest, strict=True
                    )
                ],
            ),
            _table(
                ["query on the serving copy", "first ms", "then ms"],
                [
                    [name, f"{times[0] * 1000:.0f}", f"{warm(times) * 1000:.0f}"]
                    for name, times in history.queries.items()
                ],
            ),
        ]
    return parts


def _build_row(name: str, build: Build) -> list[str]:
    run = build.measured
    failed = ", ".join(build.failures) or "none"
    return [name, f"{run.cpu_seconds:.1f}", f"{run.wall_seconds:.1f}", f"{run.peak_mb:.0f}", failed]


def _backfill_text(backfill: dict[str, Any]) -> str:
    return (
        f"All nine endpoints over {backfill['days']} days at 60 requests a minute and 150 ms latency, time running "
        f"{backfill['scale']:g} times faster: {backfill['requests']:,} requests in {backfill['seconds'] / 60:.1f} "
        f"simulated minutes; at most {backfill['busiest_minute']} requests arrived within any minute."
    )


def _side_by_side_parts(found: dict[str, Any]) -> list[str]:
    rows = []
    for label, title in (("loaded", "first load"), ("restated", "after two restated days")):
        figures = found[label]
        truth = side_by_side.total(figures["truth"])
        rows.append([title, "the server's truth", _plain(truth), "", ""])
        for name in ("onelens", "dlt append", "dlt merge"):
            held = figures[name]
            total = side_by_side.total(held["days"])
            wrong = sum(
                Decimal(held["days"].get(day, "0")) != Decimal(cents) for day, cents in figures["truth"].items()
            )
            rows.append([title, _sided(name), _plain(total), _plain(total - truth), str(wrong)])
            if name != "onelens":
                users = side_by_side.total(held["users"])
                rows.append([title, f"{name}, rows of users", _plain(users), _plain(users - truth), ""])
    restated = found["restated"]
    days = [
        [
            str(day),
            _plain(Decimal(restated["truth"][str(day)])),
            *(
                _plain(Decimal(restated[one]["days"].get(str(day), "0")))
                for one in ("onelens", "dlt append", "dlt merge")
            ),
            _plain(Decimal(restated["dlt merge"]["users"].get(str(day), "0"))),
        ]
        for day in (side_by_side.DOWN, side_by_side.EMPTY)
    ]
    return [
        _SIDE_BY_SIDE.strip(),
        _table(["when", "who", "total", "difference", "days wrong"], rows),
        _table(["restated day", "truth", "ours", "dlt append", "dlt merge", "dlt merge, rows of users"], days),
        _side_by_side_text(found),
    ]


_SIDE_BY_SIDE = """
Ten days of forty people; then one day goes down by 30 % and one to nothing, and both are loaded again. dlt loads
`user_cost_report` (detail) and `cost_report` (ungrouped), once with `append`, once with `merge` on
`merge_key: starting_at`. Amounts in cents.
"""


def _side_by_side_text(found: dict[str, Any]) -> str:
    merged = found["loaded"]["dlt merge"]
    difference = Decimal(merged["users_double"]) - side_by_side.total(merged["users"])
    lost = ", ".join(sorted(set(found["fields"]) - set(found["dlt columns"]))) or "none"
    kind = found["loaded"]["onelens"]["type"]
    return f"""
- **Sum.** Ours is {kind} and the truth to the last digit. dlt keeps the API's text ({merged["type"]}): summed as
  `double` its user rows are off by {difference:.2E} cents; cast to a wide DECIMAL by hand they are exact. Neither of
  its tables has a row for cost that no user account is behind.
- **A restated day.** `append` counts the day that has rows twice and keeps the empty one as it was. `merge` is right
  wherever rows arrive; a day whose user rows are all gone keeps its old ones, because nothing arrives that names it.
- **Columns.** Of {len(found["fields"])} fields served, dlt has no column for: {lost} (fields that were null in every
  row, and the envelope). Ours keeps every byte of the page.
""".strip()


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


def _sided(name: str) -> str:
    return "ours: `fct_claude_costs`" if name == "onelens" else f"{name}, `cost_report`"


def _machine() -> Iterable[str]:
    cores = os.cpu_count() or 0
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    yield f"{cores} cores ({_processor()}), {memory:.0f} GB; load average at the end {load}; {platform.system()}"
    packages = ("duckdb", "dbt-core", "dbt-duckdb", "requests", "pandas", "anthropic", "dlt")
    installed = {one.name.lower(): one.version for one in importlib.metadata.distributions()}
    versions = ", ".join(f"{name} {installed[name]}" for name in packages if name in installed)
    yield f"Python {platform.python_version()}, {versions}"
    yield f"commit {_commit()}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - not a file of the project
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def _commit() -> str:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(measuring.PROJECT_ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603

    commit = git("rev-parse", "--short=12", "HEAD") or "unknown"
    changed = git("status", "--porcelain", "--", "onelens_claude", "dbt_project", "benchmarks")
    return f"{commit} with changes not committed" if changed else commit


def _last_to_second(seconds: Sequence[float]) -> float:
    """Return the last day's cost of the second's: the first has the start-up in it."""
    return seconds[-1] / seconds[1]


def _amount(value: float, unit: str) -> str:
    return f"{value:.3g}x" if unit == "x" else f"{value:.0f} {unit}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
