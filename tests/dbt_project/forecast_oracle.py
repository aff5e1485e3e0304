"""The forecast of a month once more, in numpy, one series at a time: what the models must agree with.

What belongs here: the method as it is described in docs/forecast.md. What does not: SQL, and data to try it on.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DAY = dt.timedelta(days=1)
WEEKS = 16
SATURDAY = 5
NOISE = {"organization": 0.1, "product": 0.25, "model": 0.25, "user": 0.6}


@dataclass(frozen=True)
class Calendar:
    """The days of an organisation: what kind each is (0 is Monday, a holiday is 6), and whether its cost is known."""

    first: dt.date
    classes: NDArray[np.int64]
    known: NDArray[np.bool_]

    @classmethod
    def of(cls, known: dict[dt.date, bool], holidays: set[dt.date]) -> Calendar:
        first = min(day for day, is_known in known.items() if is_known)
        newest = max(day for day, is_known in known.items() if is_known)
        last = (newest.replace(day=28) + 4 * DAY).replace(day=1) - DAY
        days = [first + n * DAY for n in range((last - first).days + 1)]
        classes = np.array([6 if day in holidays else day.weekday() for day in days])
        return cls(first, classes, np.array([known.get(day, False) for day in days]))

    def number(self, day: dt.date) -> int:
        return (day - self.first).days


@dataclass(frozen=True)
class Estimate:
    """The days left of a month: what they are expected to cost, and the standard error of that as a part of it."""

    remainder: float
    standard_error: float


def estimate(calendar: Calendar, spent: Floats, scope: str, as_of: dt.date) -> Estimate | None:
    """Forecast the rest of the month of `as_of`; None without any cost, or without enough known days, in the window."""
    today = calendar.number(as_of)
    started = np.flatnonzero(spent)[0]
    window = np.arange(max(started, today - 7 * WEEKS + 1), today + 1)
    window = window[calendar.known[window]]
    if not spent[window].any():
        return None
    usual = NOISE[scope] ** 2
    cut = without_spikes(calendar, spent, usual, window)
    spikes = spent[window].clip(0).sum() / cut[window].clip(0).sum() if (cut[window] > 0).any() else 1.0
    shares = weekday_shares(calendar.classes[window], cut[window])
    weeks, totals = week_totals(window, today, shares[calendar.classes[window]], cut[window])
    if not len(weeks):
        return None
    floored = np.log(np.maximum(totals, max(0.05 * totals.mean(), 1e-12)))
    count = len(weeks)

    trend, left, scatter, squares = 0.0, 0.01**2, 0.0, ((weeks - weeks.mean()) ** 2).sum()
    if count > 1:
        slope, start = np.polyfit(-weeks, floored, 1)
        scatter = ((floored - start + slope * weeks) ** 2).sum()
    variance = (scatter + 3 * usual) / (max(count - 2, 0) + 3)
    if count >= 4:
        believed = 0.01**2 / (0.01**2 + variance / squares)
        trend, left = slope * believed, 0.01**2 * (1 - believed)

    step = np.median(np.abs(np.diff(floored))) / (0.6745 * np.sqrt(2)) if count > 1 else 0.0
    step_variance = ((count - 1) * step**2 + 3 * usual) / (count + 2)
    signal = 0.04**2 / step_variance
    gain = max((np.sqrt(signal**2 + 4 * signal) - signal) / 2, 0.1)
    weights = (1 - gain) ** weeks
    weights /= weights.sum()
    level = max((weights * totals * np.exp(trend * (weeks + 0.5))).sum(), 0.0)
    if weeks[0] == 0 and level > 0 and scope != "user":
        newest = np.log(max(totals[0], 0.01 * totals.mean(), 1e-12)) + trend / 2
        distance = newest - np.log(level)
        level *= np.exp(distance**3 / (distance**2 + 25 * step_variance))

    level *= np.sqrt(spikes)
    days = list(days_left(calendar, as_of))
    remainder = 0.0
    for number in days:
        expected = shares[calendar.classes[number]] * level * np.exp(trend * (number - today - 0.5) / 7)
        remainder += max(expected - (spent[number] if number < today else 0.0), 0.0)
    ahead = len(days) / 14 + 0.5
    noise = variance * ((weights**2).sum() + (7 / len(days) if days else 0.0))
    return Estimate(remainder, float(np.sqrt(noise + left * ahead**2 + 0.04**2 * ahead)))


def without_spikes(calendar: Calendar, spent: Floats, usual: float, window: NDArray[np.int64]) -> Floats:
    """Return the days, those of the window cut at two deviations above those of their kind in the 56 days before."""
    cut, off = spent.copy(), calendar.classes >= SATURDAY
    counts = calendar.known & (spent > 0)
    for day in window[spent[window] > 0]:
        earlier = np.arange(max(day - 56, 0), day)
        earlier = earlier[counts[earlier] & (off[earlier] == off[day])]
        if len(earlier) >= 5:
            logs = np.log(spent[earlier])
            deviation = np.sqrt((len(logs) * logs.var() + 8 * usual) / (len(logs) + 8))
            cut[day] = min(spent[day], np.exp(logs.mean() + 2 * deviation))
    return cut


def weekday_shares(classes: NDArray[np.int64], spent: Floats) -> Floats:
    means = np.array([spent[classes == one].mean() if (classes == one).any() else spent.mean() for one in range(7)])
    means = np.maximum(means, 0)
    return means / means.sum() if means.sum() > 0 else np.full(7, 1 / 7)


def week_totals(window: NDArray[np.int64], today: int, shares: Floats, spent: Floats) -> tuple[Floats, Floats]:
    """Return the weeks of which enough is known, newest first, and what each would have cost as a whole."""
    back = (today - window) // 7
    found = [
        (week, spent[back == week].sum() / shares[back == week].sum())
        for week in range(WEEKS)
        if shares[back == week].sum() >= 0.25
    ]
    return np.array([week for week, _ in found], float), np.array([total for _, total in found])


def days_left(calendar: Calendar, as_of: dt.date) -> list[int]:
    """Return the days of the month that are to come, and those before that are not known."""
    first = calendar.number(as_of.replace(day=1))
    last = calendar.number((as_of.replace(day=28) + 4 * DAY).replace(day=1)) - 1
    today = calendar.number(as_of)
    return [day for day in range(max(first, 0), last + 1) if day > today or not calendar.known[day]]


def standard_errors(scores: list[float]) -> float:
    """Return how many standard errors make the range, from the scores of earlier months."""
    return float((len(scores) * np.quantile(scores, 0.8) + 4 * 1.7) / (len(scores) + 4))
