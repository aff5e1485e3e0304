"""What most people would do first, beside which the models are shown: the z-score and its kin, with the same floors.

Each looks back only: a day is compared with the 28 before it, or with the same weekday a week ago. Days without spend
are zero, a series is scored from its 15th day on.

What is here: those methods. What to add here: another that people use. What must not go here: what production uses.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from onelens_claude.backtest.labels import SEGMENTS
from onelens_claude.backtest.scoring import Alert, Series

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import duckdb

Floats = NDArray[np.float64]

WINDOW_DAYS, WEEK, LEAST_DAYS = 28, 7, 14
USER_FLOOR_USD, SEGMENT_FLOOR_USD, SEGMENT_FLOOR_SHARE = 20.0, 50.0, 0.1
"""The floors of the models as they are set by default."""
_SERIES_AT_ONCE = 512
_MAD_TO_DEVIATION, _MEAN_DISTANCE_TO_DEVIATION = 1.4826, 1.2533


@dataclass(frozen=True)
class Baseline:
    """A method: what it expects of each day and how far from it the day is, from the days before and the days."""

    name: str
    threshold: float
    measure: Callable[[Floats, Floats], tuple[Floats, Floats]]


def _plain(before: Floats, days: Floats) -> tuple[Floats, Floats]:
    expected = before.mean(axis=-1)
    return expected, _distance(days - expected, before.std(axis=-1, ddof=1))


def _robust(before: Floats, days: Floats) -> tuple[Floats, Floats]:
    expected = np.median(before, axis=-1)
    distances = np.abs(before - expected[..., None])
    mad = _MAD_TO_DEVIATION * np.median(distances, axis=-1)
    # where more than half of the days are alike, as of somebody who works now and then
    mean = _MEAN_DISTANCE_TO_DEVIATION * distances.mean(axis=-1)
    return expected, _distance(days - expected, np.where(mad, mad, mean))


def _week_over_week(before: Floats, days: Floats) -> tuple[Floats, Floats]:
    expected = before[..., -WEEK]
    with np.errstate(divide="ignore", invalid="ignore"):
        return expected, np.where(expected > 0, days / expected - 1, 0.0)


BASELINES = (
    Baseline("z-score over 3 (28 days)", 3.0, _plain),
    Baseline("median/MAD over 3.5 (28 days)", 3.5, _robust),
    Baseline("week over week above +100 %", 1.0, _week_over_week),
)


def baseline_alerts(connection: duckdb.DuckDBPyConnection) -> dict[str, list[Alert]]:
    """Return what each method raises for people and segments, by its name."""
    raised: dict[str, list[Alert]] = {baseline.name: [] for baseline in BASELINES}
    for organization_id, scope, values, first, amounts in _matrices(connection):
        for start in range(0, len(values), _SERIES_AT_ONCE):
            some = slice(start, start + _SERIES_AT_ONCE)
            for baseline in BASELINES:
                for row, day, distance in _raised(baseline, amounts[some], is_segment=scope in SEGMENTS):
                    series = Series(organization_id, scope, values[start + row])
                    alert = Alert(series, first + dt.timedelta(days=day), "spike", distance)
                    raised[baseline.name].append(alert)
    return raised


def _raised(baseline: Baseline, amounts: Floats, *, is_segment: bool) -> Iterator[tuple[int, int, float]]:
    # a first part without days: a short history is compared with what there is of it, as zeros
    padded = np.concatenate([np.zeros((len(amounts), WINDOW_DAYS)), amounts], axis=1)
    before = sliding_window_view(padded, WINDOW_DAYS, axis=1)[:, :-1]
    expected, distance = baseline.measure(before, amounts)
    floor = np.maximum(SEGMENT_FLOOR_USD, SEGMENT_FLOOR_SHARE * expected) if is_segment else USER_FLOOR_USD
    age = np.arange(amounts.shape[1])[None, :] - (amounts > 0).argmax(axis=1)[:, None]
    far = (distance > baseline.threshold) & (amounts - expected >= floor) & (age >= LEAST_DAYS)
    for row, day in np.argwhere(far):
        yield int(row), int(day), float(distance[row, day])


def _distance(excess: Floats, deviation: Floats) -> Floats:
    """Return the excess in deviations; after days that were all alike, any excess is far."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(deviation > 0, excess / deviation, np.where(excess > 0, np.inf, 0.0))


def _matrices(
    connection: duckdb.DuckDBPyConnection,
) -> Iterator[tuple[str, str, list[str], dt.date, Floats]]:
    """Return per organisation and scope the series, the first day, and the amounts by series and day."""
    spans = connection.execute(
        """select organization_id, min(activity_date), max(activity_date) from intermediate.int_daily_spend_series
        group by organization_id order by organization_id"""
    ).fetchall()
    for organization_id, first, last in spans:
        for scope in ("user", *SEGMENTS):
            rows = connection.execute(
                """select scope_value, activity_date - ? as day, cast(amount_usd as double) as amount
                from intermediate.int_daily_spend_series where organization_id = ? and scope = ?""",
                [first, organization_id, scope],
            ).fetchnumpy()
            values, places = np.unique(rows["scope_value"].astype(str), return_inverse=True)
            amounts = np.zeros((len(values), (last - first).days + 1))
            amounts[places, rows["day"]] = rows["amount"]
            yield organization_id, scope, [str(value) for value in values], first, amounts
