"""Comparing alerts with labels: how many events were found, how much of the money, how often nothing was there.

What is here: incidents and the measures. What to add here: another measure.
What must not go here: running the models (`running.py`), the methods beside which they are shown (`baselines.py`).
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from onelens_claude.backtest.labels import HARMLESS, SEGMENTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from onelens_claude.backtest.labels import Label

NEIGHBOUR_DAYS = 3
"""Alert days with at most so many days between them are one incident, as in `cost_anomalies`."""
GRACE_DAYS = 2
"""An alert up to so many days after an event ended still found it."""


class Series(NamedTuple):
    """What is watched."""

    organization_id: str
    scope: str
    scope_value: str


class Alert(NamedTuple):
    """What is raised on a day about that day, with nothing known of later ones."""

    series: Series
    date: dt.date
    kind: str
    score: float


@dataclass
class Incident:
    """Alerts of one series whose days are neighbours, in order."""

    series: Series
    alerts: list[Alert]

    def first_within(self, event: Label) -> dt.date | None:
        """Return the first day on which an event was told of, if any was."""
        end = event.end + dt.timedelta(days=GRACE_DAYS)
        return next((alert.date for alert in self.alerts if event.start <= alert.date <= end), None)


@dataclass(frozen=True)
class KindScore:
    """How well one kind of event is found; None where there is nothing to take a share of."""

    events: int
    recall: float | None
    dollar_recall: float | None
    median_delay_days: float | None


@dataclass(frozen=True)
class Score(KindScore):
    """The same of all events together, and how often nothing was there."""

    incidents: int
    series_days: int
    incidents_per_1000_series_days: float | None
    precision: float | None
    false_per_1000_series_days: float | None
    f1: float | None
    by_kind: dict[str, KindScore] = field(default_factory=dict)
    precision_by_alert_kind: dict[str, float] = field(default_factory=dict)


def incidents(alerts: Iterable[Alert]) -> list[Incident]:
    """Join the alerts of each series whose gaps are at most NEIGHBOUR_DAYS."""
    found: list[Incident] = []
    for alert in sorted(alerts):
        last = found[-1] if found else None
        if last and last.series == alert.series and (alert.date - last.alerts[-1].date).days <= NEIGHBOUR_DAYS + 1:
            last.alerts.append(alert)
        else:
            found.append(Incident(alert.series, [alert]))
    return found


def score(
    alerts: Iterable[Alert],
    labels: Sequence[Label] | None,
    scopes: Sequence[str],
    series_days: int,
    scored_from: Mapping[str, dt.date],
) -> Score:
    """Compare the alerts of some scopes with the labels; without labels, only count.

    An event is found by an alert of its own series, a person's also by one of the person on a product. An incident is
    right when it tells of an event of its series or person; of a segment, also of one of another segment of the
    organisation, which is the same money seen from elsewhere. An event of a person makes no segment right. A drop or a
    benign change is nothing to find. Alerts before an organisation's first scored day do not count, nor do events that
    began before it.
    """
    told = [one for one in alerts if one.series.scope in scopes and one.date >= scored_from[one.series.organization_id]]
    joined = incidents(told)
    if labels is None:
        return _summary([], {}, joined, [], series_days, is_labelled=False)
    by_place: dict[tuple[str, ...], list[Label]] = defaultdict(list)
    for label in labels:
        if label.kind not in HARMLESS:
            by_place[_place(Series(label.organization_id, label.scope, label.scope_value))].append(label)
    delays: dict[int, int] = {}
    right = []
    for incident in joined:
        first_days = [(event, incident.first_within(event)) for event in by_place[_place(incident.series)]]
        hits = [(event, day) for event, day in first_days if day]
        right.append(bool(hits))
        for event, day in hits:
            if _is_about(incident.series, event):
                delays[id(event)] = min((day - event.start).days, delays.get(id(event), 1_000_000))
    wanted = {*scopes, "user"} if "user_product" in scopes else {*scopes}
    events = [
        event
        for group in by_place.values()
        for event in group
        if event.scope in wanted and event.start >= scored_from[event.organization_id]
    ]
    return _summary(events, delays, joined, right, series_days)


def _summary(
    events: list[Label],
    delays: Mapping[int, int],
    joined: list[Incident],
    right: list[bool],
    series_days: int,
    *,
    is_labelled: bool = True,
) -> Score:
    by_kind: dict[str, list[Label]] = defaultdict(list)
    for event in events:
        by_kind[event.kind].append(event)
    by_alert_kind: dict[str, list[bool]] = defaultdict(list)
    for incident, is_right in zip(joined, right, strict=False):
        by_alert_kind[incident.alerts[0].kind].append(is_right)
    whole = _kind_score(events, delays)
    precision = _share(sum(right), len(joined)) if is_labelled else None
    f1 = None
    if precision is not None and whole.recall is not None:
        f1 = 2 * precision * whole.recall / (precision + whole.recall) if precision + whole.recall else 0.0
    return Score(
        **vars(whole),
        incidents=len(joined),
        series_days=series_days,
        incidents_per_1000_series_days=_share(1000 * len(joined), series_days),
        precision=precision,
        false_per_1000_series_days=_share(1000 * (len(joined) - sum(right)), series_days) if is_labelled else None,
        f1=f1,
        by_kind={kind: _kind_score(group, delays) for kind, group in sorted(by_kind.items())},
        precision_by_alert_kind={kind: sum(group) / len(group) for kind, group in sorted(by_alert_kind.items())},
    )


def _kind_score(events: list[Label], delays: Mapping[int, int]) -> KindScore:
    found = [event for event in events if id(event) in delays]
    dollars, found_dollars = (
        float(sum(event.impact_usd for event in group if event.impact_usd is not None)) for group in (events, found)
    )
    return KindScore(
        events=len(events),
        recall=_share(len(found), len(events)),
        dollar_recall=_share(found_dollars, dollars),
        median_delay_days=float(median(delays[id(event)] for event in found)) if found else None,
    )


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _place(series: Series) -> tuple[str, ...]:
    """Return where an alert and an event meet: the organisation for segments, else the person."""
    if series.scope in SEGMENTS:
        return (series.organization_id,)
    person = series.scope_value.split("/", 1)[0] if series.scope == "user_product" else series.scope_value
    return series.organization_id, person


def _is_about(series: Series, event: Label) -> bool:
    is_own = series == (event.organization_id, event.scope, event.scope_value)
    return is_own or (series.scope == "user_product" and event.scope == "user")
