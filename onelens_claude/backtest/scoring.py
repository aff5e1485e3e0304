"""Comparing alerts with labels: how many events were found, how much of the money, how often nothing was there.

What is here: incidents, the measures, the baselines beside which they are shown. What to add here: another measure.
What must not go here: running the models (`running.py`).
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from onelens_claude.backtest.organizations import Label

Series = tuple[str, str, str]
"""Organisation, scope and scope value."""

NEIGHBOUR_DAYS = 3
"""Alert days with at most so many days between them are one incident, as in `cost_anomalies`."""
GRACE_DAYS = 2
"""An alert up to so many days after an event ended still found it."""
SEGMENTS = ("organization", "product", "model")
_HARMLESS = frozenset({"benign", "drop"})


@dataclass(frozen=True)
class Incident:
    """Alert days of one series that belong together; both dates are inclusive."""

    series: Series
    start: dt.date
    end: dt.date


@dataclass(frozen=True)
class Score:
    """Shares are of one; None where there was nothing to find. `false_rate` is false incidents per 1,000 series-days."""

    events: int
    incidents: int
    precision: float | None
    recall: float | None
    dollar_recall: float | None
    false_rate: float | None
    median_delay: float | None
    recall_by_kind: dict[str, float]

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall."""
        if not self.precision or not self.recall:
            return None if self.precision is None or self.recall is None else 0.0
        return 2 * self.precision * self.recall / (self.precision + self.recall)


def incidents(alerts: Iterable[tuple[Series, dt.date]]) -> list[Incident]:
    """Join the alert days of each series whose gaps are at most NEIGHBOUR_DAYS."""
    found: list[Incident] = []
    for series, day in sorted(set(alerts)):
        last = found[-1] if found else None
        if last and last.series == series and (day - last.end).days <= NEIGHBOUR_DAYS + 1:
            found[-1] = Incident(series, last.start, day)
        else:
            found.append(Incident(series, day, day))
    return found


def score(alerts: Iterable[tuple[Series, dt.date]], labels: Iterable[Label], series_days: int) -> Score:
    """Compare the alerts of a scope, or of the segments together, with the labels of the same.

    An event is found by an incident of its own series. An incident is right where it overlaps an event of its series; of
    a segment, also where it overlaps one of another segment of the organisation, which is the same money seen from
    elsewhere. An event of a person makes no segment right. What is labelled `benign` or `drop` is nothing to find.
    """
    events = [label for label in labels if label.kind not in _HARMLESS]
    by_place: dict[tuple[str, ...], list[Label]] = defaultdict(list)
    for event in events:
        by_place[_place(event.organization_id, event.scope, event.scope_value)].append(event)
    all_incidents = incidents(alerts)
    found: dict[int, int] = {}
    right = 0
    for incident in all_incidents:
        hits = [event for event in by_place[_place(*incident.series)] if _overlap(incident, event)]
        right += bool(hits)
        for event in hits:
            if incident.series == (event.organization_id, event.scope, event.scope_value):
                delay = max(0, (incident.start - event.start).days)
                found[id(event)] = min(delay, found.get(id(event), delay))
    dollars = sum(event.impact_usd for event in events)
    by_kind: dict[str, list[bool]] = defaultdict(list)
    for event in events:
        by_kind[event.kind].append(id(event) in found)
    return Score(
        events=len(events),
        incidents=len(all_incidents),
        precision=right / len(all_incidents) if all_incidents else None,
        recall=len(found) / len(events) if events else None,
        dollar_recall=sum(event.impact_usd for event in events if id(event) in found) / dollars if dollars else None,
        false_rate=1000 * (len(all_incidents) - right) / series_days if series_days else None,
        median_delay=float(np.median(list(found.values()))) if found else None,
        recall_by_kind={kind: sum(hits) / len(hits) for kind, hits in sorted(by_kind.items())},
    )


def _place(organization_id: str, scope: str, scope_value: str) -> tuple[str, ...]:
    return (organization_id,) if scope in SEGMENTS else (organization_id, scope, scope_value)


def _overlap(incident: Incident, event: Label) -> bool:
    return incident.start <= event.end + dt.timedelta(days=GRACE_DAYS) and incident.end >= event.start
