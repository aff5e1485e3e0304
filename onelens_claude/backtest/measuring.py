"""The whole backtest: spend in, the production models over it, what they and simpler methods would have said.

What is here: the order of the steps, and their result. What to add here: another thing that is measured.
What must not go here: printing (`cli/backtesting.py`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from onelens_claude.backtest.baselines import baseline_alerts
from onelens_claude.backtest.files import read_labels, read_spend
from onelens_claude.backtest.forecasts import ForecastScore, export_forecasts, score_forecasts
from onelens_claude.backtest.labels import SCOPES, SEGMENTS, Label
from onelens_claude.backtest.organizations import make_organization
from onelens_claude.backtest.running import (
    prepare,
    raised_alerts,
    run_forecasts,
    run_models,
    scored_from,
    series_days,
    store,
    touch_newest_day,
)
from onelens_claude.backtest.scoring import Score, score
from onelens_claude.warehouse.connections import connect

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import duckdb

    from onelens_claude.backtest.scoring import Alert

    Tell = Callable[[str], None]
    Fill = Callable[[duckdb.DuckDBPyConnection], list[Label] | None]

MODELS_NAME = "onelens_claude"
FORECASTS = "forecasts.json"
SCORED_SCOPES = {scope: (scope,) for scope in SCOPES} | {"segments": SEGMENTS}
"""Scopes by the name of what is scored together."""


@dataclass(frozen=True)
class Speed:
    """How fast the models are; `series_days` are those of all scopes."""

    series_days: int
    seconds: float
    newest_day_seconds: float

    @property
    def series_days_per_second(self) -> float:
        """Of the full run."""
        return self.series_days / self.seconds


@dataclass
class Backtest:
    """What came of it; `scores` are of alerts, by method and by what is scored together."""

    first_day: dt.date
    last_day: dt.date
    organizations: int
    people: int
    alerts: list[Alert]
    scores: dict[str, dict[str, Score]]
    forecasts: list[ForecastScore]
    forecasts_file: Path
    """Every forecast as JSON, one per line, in the folder for what is in between."""
    is_labelled: bool
    speed: Speed
    notes: list[str] = field(default_factory=list)


def backtest_made_up(work: Path, seeds: Sequence[int], users: int, days: int, tell: Tell) -> Backtest:
    """Measure on made-up organisations, one per seed; `work` is a folder for what is in between."""

    def fill(connection: duckdb.DuckDBPyConnection) -> list[Label]:
        labels = []
        for seed in seeds:
            tell(f"Making organisation {seed}: {users} people, {days} days ...")
            organization = make_organization(seed, users=users, days=days)
            store(connection, organization.spend)
            labels += organization.labels
        return labels

    return _backtest(work, fill, tell)


def backtest_files(work: Path, folder: Path, tell: Tell) -> Backtest:
    """Measure on somebody else's files. Raises SettingsError where one is wrong."""
    notes: list[str] = []

    def fill(connection: duckdb.DuckDBPyConnection) -> list[Label] | None:
        tell(f"Reading {folder} ...")
        notes.extend(read_spend(connection, folder, work))
        return read_labels(connection, folder, work)

    result = _backtest(work, fill, tell)
    result.notes = notes
    return result


def _backtest(work: Path, fill: Fill, tell: Tell) -> Backtest:
    path, target = work / "backtest.duckdb", work / "target"
    with connect(path) as connection:
        labels = fill(connection)
        prepare(connection)
        all_days = sum(series_days(connection, 0).values())
    tell(f"Scoring {all_days:,} series-days with the production models ...")
    seconds = run_models(path, target)
    began = time.monotonic()
    with connect(path) as connection:
        alerts = raised_alerts(connection)
        seconds += time.monotonic() - began
        touch_newest_day(connection)
    tell("Scoring the newest day again ...")
    newest_seconds = run_models(path, target)
    began = time.monotonic()
    with connect(path, read_only=True) as connection:
        raised_alerts(connection, newest_only=True)
        newest_seconds += time.monotonic() - began
    tell("Forecasting each month on each of its days ...")
    run_forecasts(path, target)
    with connect(path, read_only=True) as connection:
        tell("Comparing ...")
        methods = {MODELS_NAME: alerts, **baseline_alerts(connection)}
        export_forecasts(connection, work / FORECASTS)
        return _result(connection, methods, labels, Speed(all_days, seconds, newest_seconds), work / FORECASTS)


def _result(
    connection: duckdb.DuckDBPyConnection,
    methods: dict[str, list[Alert]],
    labels: list[Label] | None,
    speed: Speed,
    forecasts_file: Path,
) -> Backtest:
    days, begins = series_days(connection), scored_from(connection)
    first, last, organizations, people = connection.execute(
        """select
            min(activity_date),
            max(activity_date),
            count(distinct organization_id),
            count(distinct (organization_id, scope_value)) filter (where scope = 'user')
        from intermediate.int_daily_spend_series"""
    ).fetchone() or (None, None, 0, 0)
    scores = {
        method: {
            name: score(alerts, labels, scopes, sum(days.get(scope, 0) for scope in scopes), begins)
            for name, scopes in SCORED_SCOPES.items()
            if method == MODELS_NAME or name != "user_product"
        }
        for method, alerts in methods.items()
    }
    return Backtest(
        first_day=first,
        last_day=last,
        organizations=organizations,
        people=people,
        alerts=methods[MODELS_NAME],
        scores=scores,
        forecasts=score_forecasts(connection),
        forecasts_file=forecasts_file,
        is_labelled=labels is not None,
        speed=speed,
    )
