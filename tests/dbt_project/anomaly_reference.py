"""The anomaly scores once more, in numpy and straight from docs/anomaly-detection.md: one series and one day at a time.

What belongs here: the method. What does not: thresholds and incidents, which the tests name themselves.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Series = tuple[str, str, str, str]
"""Organisation, scope, scope value, metric."""
Group = tuple[str, ...]


@dataclass(frozen=True)
class Score:
    score: float
    expected: float
    low: float
    high: float
    active_days: int
    level_days: int


class Reference:
    """Scores of series given as {series: {day number: amount}}; days without an entry had no spend."""

    def __init__(self, spend: Mapping[Series, Mapping[int, float]], floors: Mapping[str, float]) -> None:
        self.floors = floors
        self.spend = spend
        self.raw = {
            series: {day: float(np.log(amount)) for day, amount in days.items()} for series, days in spend.items()
        }
        self.shifts = self._common_shifts()
        self.own = {
            series: {day: log - self._shift(series, day) for day, log in days.items()}
            for series, days in self.raw.items()
        }
        self.peers = self._peer_levels()
        self.tails = self._tails()

    def scores(self) -> dict[tuple[Series, int, str], Score]:
        found = {}
        for series, days in self.own.items():
            for day in days:
                for kind in ("spike", "sustained", "chronic"):
                    score = self._score(series, day, kind)
                    if score and score.score >= 2.5:
                        found[series, day, kind] = score
        return found

    def _common_shifts(self) -> dict[tuple[Group, int], float]:
        distances = defaultdict(list)
        for series, days in self.raw.items():
            for day, log in days.items():
                before = between(days, day - 56, day - 1)
                if len(before) >= 10:
                    distances[peer_group(series), day].append(log - before.mean())
        return {key: float(np.median(values)) * len(values) / (len(values) + 10) for key, values in distances.items()}

    def _shift(self, series: Series, day: int) -> float:
        return self.shifts.get((peer_group(series), day), 0.0)

    def _peer_levels(self) -> dict[tuple[Group, int], float]:
        logs: dict[Group, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
        for series, days in self.own.items():
            for day, log in days.items():
                logs[peer_group(series)][day].append(log)
        medians = {group: {day: float(np.median(one)) for day, one in days.items()} for group, days in logs.items()}
        return {
            (group, day): float(np.median(before)) if len(before := between(days, day - 28, day - 1)) else median
            for group, days in medians.items()
            for day, median in days.items()
        }

    def _tails(self) -> dict[tuple[Group, int], float]:
        distances: dict[Group, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
        for series, days in self.own.items():
            for day, log in days.items():
                before = between(days, day - 56, day - 1)
                if len(before) >= 10:
                    far = (log - before.mean()) / max(before.std(), 0.3)
                    distances[series[0], series[1], series[3]][day].append(far)
        tails = {}
        for group, by_day in distances.items():
            far = {day: (len(one), float(np.quantile(one, 0.99))) for day, one in by_day.items()}
            for day in far:
                known = [far[one] for one in far if day - 56 <= one <= day - 1]
                rows = sum(count for count, _ in known)
                mean = sum(count * quantile for count, quantile in known) / rows / 2.326 if rows else 1.0
                tails[group, day] = max(1.0, mean)
        return tails

    def _score(self, series: Series, day: int, kind: str) -> Score | None:
        own, floor = self.own[series], self.floors[series[3]]
        if kind == "spike":
            window, span, least_days, floors, level_day, before = 1, 1, 1, 1.0, day, between(own, day - 56, day - 1)
        elif kind == "sustained":
            window, span, least_days, floors = 7, 7, 3, 2.5
        else:
            window, span, least_days, floors = 28, 42, 6, 5.0
        if kind != "spike":
            level_day = min(one for one in own if day - span + 1 <= one <= day)
            before = between(own, day - span - 56, day - span)
        current = between(own, day - window + 1, day)
        amount = between(self.spend[series], day - window + 1, day).sum()
        if amount < floors * floor or len(current) < least_days:
            return None
        is_new = kind == "spike" and len(before) < 5
        if not is_new and (not len(before) or current.mean() - before.mean() < 0.4):
            return None

        history = between(own, level_day - 56, level_day - 1)
        n = len(history)
        if kind != "spike" and n < 5:
            return None
        peer = self.peers[peer_group(series), level_day]
        median = np.median(history) if n else 0.0
        spread = 1.4826 * np.median(np.abs(history - median)) if n else 0.0
        level = (n * median + 3 * peer) / (n + 3)
        spread = max(0.3, np.sqrt((n * spread**2 + 8 * 0.36) / (n + 8)))
        if kind == "spike":
            tail = self.tails.get(((series[0], series[1], series[3]), day), 1.0)
            excess = current[0] - level
            deviation = tail**2 * np.sqrt(spread**2 * (1 + 1 / max(n, 1)) + 1.44 * 9 / (n + 3) ** 2)
        else:
            excess = np.clip(current, level - 3 * spread, level + 3 * spread).mean() - level
            deviation = spread * np.sqrt(1.5 / len(current) + 0.64 * 9 / (n + 3) ** 2 + 1.57 / n)
        if kind == "chronic":
            excess -= max(0.0, self.peers[peer_group(series), day] - peer)
        shift = np.mean([self._shift(series, one) for one in own if day - window + 1 <= one <= day])
        expected, low, high = (
            float(len(current) * np.exp(level + shift + times * deviation)) for times in (0, -1.2816, 1.2816)
        )
        return Score(float(excess / deviation), expected, low, high, len(current), n)


def between(days: Mapping[int, float], first: int, last: int) -> Floats:
    """Return the values of the days of a span, both ends inclusive."""
    return np.array([value for day, value in days.items() if first <= day <= last])


def peer_group(series: Series) -> Group:
    organization, scope, value, metric = series
    return organization, scope, value.split("/", 1)[1] if scope == "user_product" else "", metric


def segment_scores(amounts: Mapping[int, float], holidays: Iterable[int]) -> dict[int, float | None]:
    """Return the scores of a series in which each known day has an entry; None after days that were all alike."""
    usual = {day: amount for day, amount in amounts.items() if day not in set(holidays)}
    scores: dict[int, float | None] = {}
    for day, amount in amounts.items():
        before = between(usual, day - 30, day - 1)
        if len(before) >= 14:
            deviation = before.std(ddof=1)
            scores[day] = float((amount - before.mean()) / deviation) if deviation else None
    return scores
