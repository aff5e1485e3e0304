"""`backtest`: how often the anomaly detector and the forecast are right, beside simpler methods.

What is here: the options, and the result as tables or JSON. What to add here: another figure of the result.
What must not go here: measuring (`backtest/measuring.py`).
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onelens_claude.cli.output import JSON_OPTION, escaped_json, json_text, note, print_table, stdout
from onelens_claude.errors import SettingsError

if TYPE_CHECKING:
    from onelens_claude.backtest.measuring import Backtest
    from onelens_claude.backtest.scoring import KindScore, Score

_SEED, _USERS, _DAYS, _ORGANIZATIONS = 101, 500, 330, 4
_LEAST_DAYS = 160
"""Some history, and then the longest climb."""
_NAMES = {
    "organization": "organisations",
    "product": "products",
    "model": "models",
    "segments": "these three together",
    "user": "people",
    "user_product": "people, by product",
}


def backtest(
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DIR",
            help="Measure on the spend.csv (or .csv.gz, .parquet) in this folder, and on the labels.csv beside it if "
            "there is one; the default is made-up organisations.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help=f"Make the organisations N to N + {_ORGANIZATIONS - 1}.")
    ] = _SEED,
    users: Annotated[int, typer.Option("--users", min=10, help="People of each made-up organisation.")] = _USERS,
    days: Annotated[int, typer.Option("--days", min=_LEAST_DAYS, help="Days of each made-up organisation.")] = _DAYS,
    as_json: bool = JSON_OPTION,
) -> None:
    """Measure how often the anomaly detector and the forecast are right, and simpler methods.

    The models are those of production with the default floors; each day is judged by what was known on its evening.
    Needs no settings, no key and no network; your warehouse is neither read nor written.
    """
    from onelens_claude.backtest.measuring import backtest_files, backtest_made_up

    if data and (seed, users, days) != (_SEED, _USERS, _DAYS):
        raise SettingsError("--data: --seed, --users and --days are for made-up organisations; leave them out")
    seeds = range(seed, seed + _ORGANIZATIONS)
    with tempfile.TemporaryDirectory(prefix="onelens-backtest-") as folder:
        work = Path(folder)
        result = backtest_files(work, data, note) if data else backtest_made_up(work, seeds, users, days, note)
        for line in result.notes:
            note(line)
        made_of = f"The files in {data}" if data else f"Made from the seeds {seeds[0]} to {seeds[-1]}"
        if as_json:
            _print_json(result, None if data else [*seeds])
        else:
            _print(result, made_of)


def _print_json(result: Backtest, seeds: list[int] | None) -> None:
    """Print one object; forecasts are many, so they go from their file to stdout line by line."""
    alerts = [
        {**alert.series._asdict(), "date": alert.date, "score": alert.score, "kind": alert.kind}
        for alert in result.alerts
    ]
    scores = {
        "seeds": seeds,
        "first_day": result.first_day,
        "last_day": result.last_day,
        "is_labelled": result.is_labelled,
        "anomalies": {
            method: {name: asdict(one) for name, one in by_scope.items()} for method, by_scope in result.scores.items()
        },
        "forecasts": [asdict(one) for one in result.forecasts],
        "speed": {**asdict(result.speed), "series_days_per_second": result.speed.series_days_per_second},
    }
    sys.stdout.write(f'{{"alerts": {json_text(alerts)},\n"forecasts": [')
    with result.forecasts_file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            sys.stdout.write(f"{',' if number else ''}\n{escaped_json(line.rstrip())}")
    sys.stdout.write(f'],\n"scores": {json_text(scores, indent=2)}}}\n')


def _print(result: Backtest, made_of: str) -> None:
    from onelens_claude.backtest.organizations import WARM_UP_DAYS

    note(
        f"{made_of}: organisations {result.organizations}, people {result.people:,}, {result.first_day} to "
        f"{result.last_day}. The first {WARM_UP_DAYS} days of each organisation are history and do not count. "
        "There are no tokens: cost alone is judged."
    )
    if result.is_labelled:
        _print_scores(result)
        _print_kinds(result)
    else:
        note("There is no labels file: nothing to compare with, so this only counts what would have been raised.")
        _print_counts(result)
    _print_forecasts(result)
    speed = result.speed
    stdout.print(
        f"Speed: {speed.series_days:,} series-days in {speed.seconds:.1f} s, {speed.series_days_per_second:,.0f} a "
        f"second; the newest day alone in {speed.newest_day_seconds:.1f} s.",
        soft_wrap=True,
    )


def _rows(result: Backtest) -> list[tuple[str, str, Score]]:
    return [
        (_NAMES[name], method, by_scope[name])
        for name in _NAMES
        for method, by_scope in result.scores.items()
        if name in by_scope
    ]


def _print_scores(result: Backtest) -> None:
    print_table(
        ["of", "by", "events", "recall", "of dollars", "days late", "incidents", "precision", "false per 1,000"],
        [
            (
                of,
                by,
                one.events,
                _two(one.recall),
                _two(one.dollar_recall),
                _one(one.median_delay_days),
                one.incidents,
                _two(one.precision),
                _two(one.false_per_1000_series_days),
            )
            for of, by, one in _rows(result)
        ],
        title="Alerts (false: incidents per 1,000 series-days in which nothing had happened)",
    )


def _print_kinds(result: Backtest) -> None:
    """Print one row per kind of event: its recall by each method, and how late the models are."""
    ours, *others = result.scores
    rows = []
    for name in ("user", "segments"):
        for kind, one in result.scores[ours][name].by_kind.items():
            by_others = [_kind(result, other, name, kind) for other in others]
            rows.append(
                (
                    _NAMES["user"] if name == "user" else "organisations, products, models",
                    kind,
                    one.events,
                    _two(one.recall),
                    _two(one.dollar_recall),
                    _one(one.median_delay_days),
                    *(_two(other.recall) for other in by_others),
                )
            )
    columns = ["of", "kind", "events", f"recall by {ours}", "of dollars", "days late", *others]
    print_table(columns, rows, title="Recall by kind of event")


def _kind(result: Backtest, method: str, name: str, kind: str) -> KindScore:
    return result.scores[method][name].by_kind[kind]


def _print_counts(result: Backtest) -> None:
    print_table(
        ["of", "by", "series-days", "incidents", "per 1,000 series-days"],
        [
            (of, by, one.series_days, one.incidents, _two(one.incidents_per_1000_series_days))
            for of, by, one in _rows(result)
        ],
        title="Incidents",
    )


def _print_forecasts(result: Backtest) -> None:
    print_table(
        ["of", "on day", "forecasts", "MAPE", "run rate's MAPE", "bias", "ranges", "that held"],
        [
            (
                _NAMES[one.scope],
                one.day_of_month,
                one.forecasts,
                f"{one.mape:.3f}",
                f"{one.run_rate_mape:.3f}",
                f"{one.bias:.3f}",
                one.ranges,
                _two(one.coverage),
            )
            for one in result.forecasts
        ],
        title="Forecasts of whole months (ranges are meant to hold four times in five)",
    )


def _one(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _two(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
