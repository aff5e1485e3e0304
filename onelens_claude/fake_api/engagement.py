"""The engagement endpoints: which parameters they take, which days they may answer for, and their walk.

What is here: parameters, availability, filters, cuts by group, ranking, and `summaries`.
What to add here: parameters of another engagement endpoint.
What must not go here: the shape of the per-entity rows (entities.py) and what people did (activity.py).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from onelens_claude.fake_api.activity import (
    OFFICE_APPS,
    Activity,
    Project,
    build_projects,
    day_activities,
    uses_science,
)
from onelens_claude.fake_api.contract import (
    Parameters,
    Query,
    calendar_day,
    check_age,
    check_available,
    group_by,
    one_of,
    refuse,
    text,
    whole,
)
from onelens_claude.fake_api.events import PRODUCT, PRODUCTS, TAG_USER
from onelens_claude.fake_api.organization import GROUP_NAMES, Organization, Snapshot
from onelens_claude.fake_api.spec import format_moment, midnight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MAX_RANGE_DAYS = 366
MAU_DAYS, WAU_DAYS = 30, 7
PRODUCT_SURFACES = ("chat", "claude_code", "claude_design", "cowork", "office_agent", "science")

_RANGE = {"date": calendar_day, "starting_date": calendar_day, "ending_date": calendar_day}
_PAGING = {"limit": whole(1, 1000), "page": text}
_FILTERS = {
    "users": ("rbac_group_id", "user_id"),
    "chat_projects": ("project_id", "rbac_group_id", "user_id"),
    "skills": ("product", "rbac_group_id", "share_status", "skill_name", "user_id"),
    "connectors": ("connector_name", "product", "rbac_group_id", "user_id"),
    "plugins": ("plugin_name", "product", "rbac_group_id", "user_id"),
    "artifacts": ("artifact_type", "is_shared", "product", "rbac_group_id", "user_id"),
    "summaries": ("rbac_group_id",),
}
_GROUPS = {
    "users": ("rbac_group_id",),
    "chat_projects": ("rbac_group_id", "user_id"),
    "skills": ("product", "rbac_group_id", "user_id"),
    "connectors": ("product", "rbac_group_id", "user_id"),
    "plugins": ("product", "rbac_group_id", "user_id"),
    "artifacts": ("product", "rbac_group_id", "user_id"),
}
ORDERABLE = {
    "users": ("user_id", "web_search_count"),
    "chat_projects": ("project_id", "distinct_user_count", "message_count"),
    "skills": ("skill_name", "distinct_user_count", "invocation_count"),
    "connectors": ("connector_name", "distinct_user_count"),
    "plugins": ("plugin_name", "distinct_user_count", "invocation_count"),
}
"""Per endpoint its sort column first, then the metrics it ranks by."""


def _parameters(endpoint: str) -> Parameters:
    if endpoint == "summaries":
        single = {"starting_date": calendar_day, "ending_date": calendar_day, **_PAGING}
        return Parameters(single, {"filter": text})
    arrays = {"filter": text, "group_by": one_of(*_GROUPS[endpoint])}
    if endpoint == "artifacts":
        return Parameters({"date": calendar_day, **_PAGING}, arrays)
    ranking = {"order": one_of("asc", "desc"), "order_by": one_of(*ORDERABLE[endpoint])}
    return Parameters({**_RANGE, **_PAGING, **ranking}, arrays)


PARAMETERS = {endpoint: _parameters(endpoint) for endpoint in _FILTERS}


@dataclass(frozen=True)
class Scope:
    """What a request covers: its days, filters (dimension to values) and cuts."""

    days: tuple[date, ...]
    is_range: bool
    filters: dict[str, tuple[str, ...]]
    cuts: tuple[str, ...]

    def allows(self, dimension: str, value: str) -> bool:
        """Tell whether the filters let a value of a dimension through (case does not matter)."""
        wanted = self.filters.get(dimension)
        return wanted is None or value.lower() in {one.lower() for one in wanted}


def read_scope(endpoint: str, query: Query, snapshot: Snapshot, latest: date) -> Scope:
    """Check the dates and filters of a request."""
    days = _range_days(query, snapshot, latest) if endpoint == "summaries" else _days(query, snapshot, latest)
    filters: dict[str, tuple[str, ...]] = {}
    for entry in query.get("filter", ()):
        dimension, colon, value = entry.partition(":")
        if not colon or dimension not in _FILTERS[endpoint]:
            supported = ", ".join(_FILTERS[endpoint])
            raise refuse("filter[]", f"Unsupported dimension in {entry!r}; supported here: {supported}")
        filters[dimension] = (*filters.get(dimension, ()), value)
    is_range = endpoint == "summaries" or query.has("starting_date")
    return Scope(days, is_range, filters, group_by(query.get("group_by", ())))


def _days(query: Query, snapshot: Snapshot, latest: date) -> tuple[date, ...]:
    if query.has("date") == query.has("starting_date"):
        raise refuse("date", "Give either date or starting_date")
    if query.has("starting_date"):
        return _range_days(query, snapshot, latest)
    if query.has("ending_date"):
        raise refuse("ending_date", "Only valid with starting_date")
    day: date = query.get("date")
    check_age("date", day, snapshot.now)
    check_available(day, latest)
    return (day,)


def _range_days(query: Query, snapshot: Snapshot, latest: date) -> tuple[date, ...]:
    start: date | None = query.get("starting_date")
    if start is None:
        raise refuse("starting_date", "Field required")
    check_age("starting_date", start, snapshot.now)
    check_available(start, latest)
    end: date = query.get("ending_date", latest + timedelta(days=1))
    if end <= start:
        raise refuse("ending_date", "Must be after starting_date")
    if (end - start).days > MAX_RANGE_DAYS:
        raise refuse("ending_date", f"The range may span at most {MAX_RANGE_DAYS} days")
    check_available(end - timedelta(days=1), latest)
    return tuple(start + timedelta(days=number) for number in range((end - start).days))


class Engagement:
    """Engagement of one organisation; keeps the drawn activities of days."""

    def __init__(self, organization: Organization) -> None:
        self.organization = organization
        self.projects: tuple[Project, ...] = build_projects(organization)
        self._lock = threading.RLock()
        self._days: dict[tuple[date, tuple[int, ...]], list[Activity]] = {}
        self._actives: dict[tuple[date, tuple[int, ...]], dict[str, set[int]]] = {}

    def activities(self, day: date, snapshot: Snapshot) -> list[Activity]:
        """Return what everyone active did on a day."""
        key = (day, self.organization.applied(day, snapshot))
        with self._lock:
            if key not in self._days:
                self._days[key] = day_activities(self.organization, self.projects, day, snapshot)
            return self._days[key]

    def scoped(self, scope: Scope, snapshot: Snapshot) -> Iterator[tuple[date, Activity]]:
        """Yield the activities of the scope's days that pass its filters on people."""
        groups = scope.filters.get("rbac_group_id")
        for day in scope.days:
            for activity in self.activities(day, snapshot):
                if not scope.allows("user_id", activity.person.user_id):
                    continue
                mine = {self.organization.group_ids[number] for number in activity.person.groups}
                if groups is None or mine & set(groups):
                    yield day, activity

    def group_values(self, activity: Activity, cuts: Sequence[str]) -> list[dict[str, str | None]]:
        """Return the values of the people cuts: one dict per group the user is in."""
        base: dict[str, str | None] = {}
        if "user_id" in cuts:
            base["user_id"] = activity.person.user_id
        if "rbac_group_id" not in cuts:
            return [base]
        numbers = activity.person.groups
        if not numbers:
            return [base | {"rbac_group_id": None, "rbac_group_name": None}]
        ids = self.organization.group_ids
        return [base | {"rbac_group_id": ids[number], "rbac_group_name": GROUP_NAMES[number]} for number in numbers]

    def actives(self, day: date, snapshot: Snapshot) -> dict[str, set[int]]:
        """Return who was active: person numbers per product, under `all`, and Slack users under `claude_tag`."""
        key = (day, self.organization.applied(day, snapshot))
        with self._lock:
            if key not in self._actives:
                self._actives[key] = self._count_actives(day, snapshot)
            return self._actives[key]

    def _count_actives(self, day: date, snapshot: Snapshot) -> dict[str, set[int]]:
        events, people = self.organization.full_day(day, snapshot).events, self.organization.people
        product = events.dims[:, PRODUCT]
        found = {
            name: set(events.person[(product == PRODUCTS.index(name) + 1) & (events.person >= 0)].tolist())
            for name in PRODUCT_SURFACES
            if name in PRODUCTS
        }
        everyone = set(events.person[(product > 0) & (events.person >= 0)].tolist())
        everyone -= {number for number in everyone if people[number].is_service}
        found["science"] = {number for number in everyone if uses_science(self.organization, people[number], day)}
        found = {name: numbers & everyone for name, numbers in found.items()}
        slack = set(events.dims[:, TAG_USER].tolist()) - {0}
        return found | {"all": everyone, "claude_tag": slack}

    def _members(self, scope: Scope) -> set[int] | None:
        wanted = scope.filters.get("rbac_group_id")
        if wanted is None:
            return None
        numbers = {number for number, group in enumerate(self.organization.group_ids) if group in wanted}
        return {person.index for person in self.organization.people if numbers & set(person.groups)}

    def seats(self, day: date) -> tuple[int, int]:
        """Return (assigned seats, pending invites) of a day."""
        people = self.organization.people
        spec = self.organization.spec
        held = sum(
            1 for one in people if not one.is_service and one.joined <= day and (one.left is None or day <= one.left)
        )
        return held + spec.users // 10 + 1, (day.toordinal() * 7 + spec.seed) % 5

    def summary_rows(self, scope: Scope, snapshot: Snapshot) -> list[dict[str, Any]]:
        """Return one row per day: seats, invites, and distinct people over 1, 7 and 30 days."""
        rows = []
        reach = [scope.days[0] - timedelta(days=number) for number in range(MAU_DAYS - 1, 0, -1)]
        by_day = {day: self.actives(day, snapshot) for day in (*reach, *scope.days)}
        members = self._members(scope)
        for day in scope.days:

            def distinct(surface: str, span: int, day: date = day) -> int:
                days = (day - timedelta(days=number) for number in range(span))
                people = set().union(*(by_day[one][surface] for one in days))
                return len(people if members is None or surface == "claude_tag" else people & members)

            rows.append(self._summary(day, distinct, scoped=members is not None))
        return rows

    def _summary(self, day: date, distinct: Callable[[str, int], int], *, scoped: bool) -> dict[str, Any]:
        features = self.organization.spec.features
        seats, invites = self.seats(day)
        row: dict[str, Any] = {
            "starting_at": format_moment(midnight(day)),
            "ending_at": format_moment(midnight(day + timedelta(days=1))),
            "assigned_seat_count": None if scoped else seats,
            "pending_invite_count": None if scoped else invites,
        }
        for period, span in (("daily", 1), ("weekly", WAU_DAYS), ("monthly", MAU_DAYS)):
            people = distinct("all", span)
            row[f"{period}_active_user_count"] = people
            row[f"{period}_adoption_rate"] = None if scoped else round(100 * people / seats, 2)
            row[f"cowork_{period}_active_user_count"] = distinct("cowork", span)
            if "per_product_summaries" in features:
                for surface in PRODUCT_SURFACES:
                    row[f"{surface}_{period}_active_user_count"] = distinct(surface, span)
            if "claude_tag" in features:
                measured = not scoped and distinct("claude_tag", 1) > 0
                tag_span = 28 if period == "monthly" else span
                row[f"claude_tag_{period}_active_user_count"] = distinct("claude_tag", tag_span) if measured else None
            if "unified" in features:
                row[f"chat_cowork_unified_{period}_active_user_count"] = 0
        if "per_product_summaries" in features:
            row["science_entitled_user_count"] = None if scoped else seats // 5
        return row


def product_of(surface: str) -> str:
    """Return the canonical product name of a surface of the engagement records."""
    if surface in OFFICE_APPS:
        return "office_agent"
    return "claude_design" if surface == "design" else surface
