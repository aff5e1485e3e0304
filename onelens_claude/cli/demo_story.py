"""What happens in the demo: somebody's agent runs away today, another's spend climbs for weeks, and budgets fill up.

It is told once, when the demo first starts, and kept: the same days then cost the same the next time, and tomorrow.

What is here: whom it happens to, and limits that suit what the organisations spend. What to add here: another event.
What must not go here: serving it (`demo_world.py`), showing it (`demoing.py`).
"""

from __future__ import annotations

import calendar
import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from onelens_claude.fake_api.events import PRODUCT, PRODUCTS
from onelens_claude.fake_api.spec import Revision

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from onelens_claude.fake_api.organization import Organization

_KEPT = dt.timedelta(days=30)
"""Then the days of the story are as good as gone, and another begins."""
_HISTORY_DAYS = 62
_CLIMB_DAYS, _CLIMB_BEGAN = 20, 36
"""How long it takes, and how many days before today it began."""
_CLIMB_PERCENT = 1100
_LEAST_BEFORE = 6
_FEW_USD = (2, 20)
_CENT = 0.01
_FAR = 3.5
_RUNAWAY_USD = 400
_RUNAWAY_HOURS = 3
_MOST_PER_HOUR = 900
_UNITS_PER_USD = 10**14
_PRODUCT = "claude_code"
_FORECAST_PRODUCT = "cowork"
_OK, _WARNING, _EXCEEDED, _FORECAST = Decimal("0.55"), Decimal("0.9"), Decimal("1.12"), Decimal("1.08")
"""Spend so far, and at the month's end, as a share of the limit."""


class Story(msgspec.Struct):
    """What was made up, so that it stays."""

    began_at: dt.datetime
    revisions: dict[str, list[Revision]]
    """By the organisation's name."""
    budgets: list[dict[str, Any]]
    teams: list[dict[str, Any]] = []


def tell(path: Path, organizations: Mapping[str, Organization], now: dt.datetime) -> Story:
    """Return the story in the file, or a new one, which is kept there; the organisations live through it."""
    try:
        story = msgspec.json.decode(path.read_bytes(), type=Story)
    except (FileNotFoundError, msgspec.DecodeError):
        story = None
    is_new = story is None or not now - _KEPT <= story.began_at <= now
    if story is None or is_new:
        busy = next(iter(organizations))
        story = Story(now, {busy: _events(organizations[busy], now)}, [])
    for name, revisions in story.revisions.items():
        for one in revisions:
            organizations[name].add_revision(one)
    if is_new:
        story.budgets = _budgets(organizations, now)
        story.teams = _teams(organizations, now)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(story)))
    return story


def _events(organization: Organization, now: dt.datetime) -> list[Revision]:
    """Return what happens to two people of an organisation."""
    reached = organization.refreshed_at(organization.snapshot(now))
    today = (reached - dt.timedelta(minutes=1)).date()
    climbs, runs = _steady_people(organization, today, now)
    return [*_climb(climbs, today), _runaway(runs, today, reached)]


def _budgets(organizations: Mapping[str, Organization], now: dt.datetime) -> list[dict[str, Any]]:
    """Return one budget in each state, by what the organisations have spent this month."""
    busy, quiet = organizations
    spent = {name: _month_to_date(one, now) for name, one in organizations.items()}
    yesterday = now.date() - dt.timedelta(days=1)
    month = Decimal(calendar.monthrange(yesterday.year, yesterday.month)[1]) / yesterday.day
    return [
        _budget("month", busy, spent[busy][""] / _OK),
        _budget("month", quiet, spent[quiet][""] / _WARNING),
        _budget("claude-code", busy, spent[busy][_PRODUCT] / _EXCEEDED, scope="product", value=_PRODUCT),
        _budget(
            "cowork",
            busy,
            spent[busy][_FORECAST_PRODUCT] * max(month / _FORECAST, Decimal("1.02")),
            scope="product",
            value=_FORECAST_PRODUCT,
            forecast=True,
            warn_percent=[100],
        ),
    ]


def _teams(organizations: Mapping[str, Organization], now: dt.datetime) -> list[dict[str, Any]]:
    """Return a map with a team for each company's addresses, somebody who is shared, and somebody who moved."""
    busy, quiet = ([one for one in each.people if one.email and not one.left] for each in organizations.values())
    shared, moved = busy[:2]
    domains = [people[-1].email.rpartition("@")[2] for people in (busy, quiet) if people[-1].email]
    moved_on = now.date() - dt.timedelta(days=10)
    engineering = {"team": "Engineering", "cost_center": "4100"}
    research = {"team": "Research", "cost_center": "4200"}
    return [
        {"match": f"*@{domains[0]}", **engineering},
        {"match": f"*@{domains[1]}", "team": "Field", "cost_center": "7000"},
        {"match": shared.user_id, **engineering, "percent": 40},
        {"match": shared.user_id, **research, "percent": 60},
        {"match": moved.user_id, **engineering, "valid_to": str(moved_on - dt.timedelta(days=1))},
        {"match": moved.user_id, **research, "valid_from": str(moved_on)},
    ]


def _steady_people(organization: Organization, today: dt.date, now: dt.datetime) -> tuple[str, str]:
    """Return whose days are most alike, and for whom the fewest dollars are far too many."""
    snapshot = organization.snapshot(now)
    days = []
    for number in range(1, _HISTORY_DAYS + 1):
        priced = organization.full_day(today - dt.timedelta(days=number), snapshot)
        has_user = priced.events.person >= 0
        spent = priced.amounts.sum(axis=1)[has_user] / _UNITS_PER_USD
        days.append(np.bincount(priced.events.person[has_user], spent, len(organization.people)))
    steady: list[tuple[float, float, str]] = []
    for person in organization.people:
        spend = np.stack(days)[:, person.index]
        logs = np.log(spend[spend > _CENT])
        has_history = len(logs) >= _HISTORY_DAYS // 2 and (spend[_CLIMB_BEGAN:] > _CENT).sum() >= _LEAST_BEFORE
        if has_history and _FEW_USD[0] < np.exp(np.median(logs)) < _FEW_USD[1]:
            steady.append((float(logs.std()), float(np.median(logs)), person.user_id))
    climbs = min(steady)
    runs = min(steady, key=lambda one: (one == climbs, one[1] + _FAR * one[0]))
    return climbs[2], runs[2]


def _runaway(user_id: str, today: dt.date, reached: dt.datetime) -> Revision:
    """Return an agent that has spent enough by now, whatever the time of day."""
    hour = max(0, (reached - dt.timedelta(minutes=1)).hour - _RUNAWAY_HOURS + 1)
    began_at = dt.datetime.combine(today, dt.time(hour), dt.UTC)
    per_hour = min(int(_RUNAWAY_USD / ((reached - began_at) / dt.timedelta(hours=1))), _MOST_PER_HOUR)
    return Revision(today, "runaway", user_id=user_id, from_hour=hour, usd_per_hour=per_hour)


def _climb(user_id: str, today: dt.date) -> list[Revision]:
    """Return each day's extra: a little more every day, and then as much."""
    return [
        Revision(
            today - dt.timedelta(days=_CLIMB_BEGAN - number),
            "up",
            user_id=user_id,
            percent=_CLIMB_PERCENT * min(number, _CLIMB_DAYS) // _CLIMB_DAYS,
        )
        for number in range(1, _CLIMB_BEGAN)
    ]


def _month_to_date(organization: Organization, now: dt.datetime) -> dict[str, Decimal]:
    """Return the dollars of the newest month that has a whole day, in all ("") and by product."""
    last = now.date() - dt.timedelta(days=1)
    snapshot = organization.snapshot(now)
    found = dict.fromkeys(["", *PRODUCTS], Decimal(0))
    for day in range(1, last.day + 1):
        priced = organization.full_day(last.replace(day=day), snapshot)
        amounts = priced.amounts.sum(axis=1)
        found[""] += _usd(amounts)
        for code, product in enumerate(PRODUCTS, start=1):
            found[product] += _usd(amounts[priced.events.dims[:, PRODUCT] == code])
    return found


def _usd(amounts: np.ndarray) -> Decimal:
    return Decimal(int(amounts.sum())) / _UNITS_PER_USD


def _budget(name: str, organization: str, limit: Decimal, **keys: Any) -> dict[str, Any]:
    """Return a budget with a limit as people set one: two digits, then zeros."""
    zeros = max(len(str(int(limit))) - 2, 0)
    return {
        "id": f"{organization}-{name}",
        "organization": organization,
        "limit_usd": f"{max(round(limit, -zeros), 1):.2f}",
        "warn_percent": [80, 100],
        **keys,
    }
