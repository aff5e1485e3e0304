"""Rows of the per-entity engagement endpoints: users, chat projects, skills, connectors, plugins, artifacts.

What is here: how activities of a scope become rows, in one-day and in range mode, whole or cut by a dimension.
In range mode counters add up, distinct users are recounted, and every other distinct count is null.
What to add here: rows of another engagement endpoint.
What must not go here: parameters and dates (engagement.py), and what people did (activity.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from onelens_claude.fake_api.activity import (
    CONNECTORS,
    OFFICE_APPS,
    PLUGINS,
    SKILLS,
    Activity,
    Use,
)
from onelens_claude.fake_api.engagement import ORDERABLE, Engagement, Scope, product_of
from onelens_claude.fake_api.pricing import format_amount
from onelens_claude.fake_api.spec import format_moment
from onelens_claude.fake_api.user_blocks import user_blocks

if TYPE_CHECKING:
    from collections.abc import Callable

    from onelens_claude.fake_api.contract import Query
    from onelens_claude.fake_api.organization import Snapshot

Row = dict[str, Any]


@dataclass
class Bucket:
    """Everything that goes into one row: its cut values, the people, their activities and uses."""

    cut: Row
    people: set[int] = field(default_factory=set)
    activities: list[Activity] = field(default_factory=list)
    uses: list[tuple[Activity, Use]] = field(default_factory=list)
    days: list[date] = field(default_factory=list)
    numbers: list[tuple[int, int]] = field(default_factory=list)


def entity_rows(engagement: Engagement, endpoint: str, query: Query, scope: Scope, snapshot: Snapshot) -> list[Row]:
    """Return all rows of an endpoint for a scope, in the order asked for."""
    makers: dict[str, Callable[[Engagement, Scope, Snapshot], list[Row]]] = {
        "users": _users,
        "chat_projects": _projects,
        "skills": _skills,
        "connectors": _connectors,
        "plugins": _plugins,
        "artifacts": _artifacts,
    }
    rows = makers[endpoint](engagement, scope, snapshot)
    if endpoint == "artifacts":
        return rows
    column = query.get("order_by", ORDERABLE[endpoint][0])
    is_metric = column != ORDERABLE[endpoint][0]
    descending = query.get("order", "desc" if is_metric else "asc") == "desc"
    sort_column = ORDERABLE[endpoint][0]
    rows.sort(key=lambda row: _sort_value(row, sort_column))
    if is_metric or descending:
        rows.sort(key=lambda row: _sort_value(row, column), reverse=descending)
    return rows


def _sort_value(row: Row, column: str) -> Any:
    if column == "user_id" and "user_id" not in row:
        return row["user"]["id"] if row["user"] else str(row.get("rbac_group_id"))
    value = row[column]
    return -1 if value is None else value


def _users(engagement: Engagement, scope: Scope, snapshot: Snapshot) -> list[Row]:
    buckets: dict[object, Bucket] = {}
    for day, activity in engagement.scoped(scope, snapshot):
        for cut in engagement.group_values(activity, scope.cuts):
            key = cut.get("rbac_group_id") if scope.cuts else activity.person.index
            bucket = buckets.setdefault(key, Bucket(cut))
            bucket.people.add(activity.person.index)
            bucket.activities.append(activity)
            bucket.days.append(day)
    features = engagement.organization.spec.features
    single = not scope.is_range and not scope.cuts
    rows = []
    for bucket in buckets.values():
        person = bucket.activities[0].person
        row = user_blocks(bucket.activities, features, single=single)
        row["user"] = None if scope.cuts else _user(person.user_id, person.address(snapshot.now))
        row["distinct_user_count"] = len(bucket.people) if scope.cuts else None
        if "last_activity" in features:
            row["last_activity_date"] = max(bucket.days).isoformat()
        rows.append(row | bucket.cut)
    return rows


def _user(user_id: str, address: str | None) -> Row:
    return {"type": "user", "id": user_id, "email_address": address or ""}


def _projects(engagement: Engagement, scope: Scope, snapshot: Snapshot) -> list[Row]:
    buckets: dict[tuple[object, ...], Bucket] = {}
    for _day, activity in engagement.scoped(scope, snapshot):
        for number, (conversations, messages) in activity.projects.items():
            for cut in engagement.group_values(activity, scope.cuts):
                bucket = buckets.setdefault((number, *cut.values()), Bucket(cut | {"_number": number}))
                bucket.people.add(activity.person.index)
                bucket.numbers.append((conversations, messages))
    rows = []
    for bucket in buckets.values():
        project = engagement.projects[bucket.cut.pop("_number")]
        if not scope.allows("project_id", project.project_id):
            continue
        creator = engagement.organization.people[project.creator] if project.creator is not None else None
        exists = creator is not None and not creator.is_deleted_account(snapshot.now)
        conversations = sum(pair[0] for pair in bucket.numbers)
        row = {
            "project_id": project.project_id,
            "project_name": project.name(snapshot.now),
            "distinct_user_count": len(bucket.people),
            "distinct_conversation_count": None if scope.is_range else conversations,
            "message_count": sum(pair[1] for pair in bucket.numbers),
            "created_at": format_moment(project.created_at) if project.created_at else None,
            "created_by": _user(creator.user_id, creator.address(snapshot.now)) if exists and creator else None,
        }
        rows.append(row | bucket.cut)
    return rows


def _use_buckets(
    engagement: Engagement, scope: Scope, snapshot: Snapshot, kind: str
) -> dict[tuple[object, ...], Bucket]:
    buckets: dict[tuple[object, ...], Bucket] = {}
    for day, activity in engagement.scoped(scope, snapshot):
        for use in getattr(activity, kind):
            if use.surface == "science" or not scope.allows("product", product_of(use.surface)):
                continue
            if not scope.allows(f"{kind[:-1]}_name", use.name):
                continue
            for cut in engagement.group_values(activity, scope.cuts):
                values: Row = cut | ({"product": product_of(use.surface)} if "product" in scope.cuts else {})
                bucket = buckets.setdefault((use.name, *values.values()), Bucket(values | {"_name": use.name}))
                bucket.people.add(activity.person.index)
                bucket.uses.append((activity, use))
                bucket.days.append(day)
    return buckets


def _surface_blocks(bucket: Bucket, scope: Scope, noun: str) -> Row:
    def count(surface: str) -> int | None:
        return None if scope.is_range else sum(use.sessions for _, use in bucket.uses if use.surface == surface)

    per_session = f"distinct_session_{noun}_used_count"
    return {
        "chat_metrics": {f"distinct_conversation_{noun}_used_count": count("chat")},
        "claude_code_metrics": {per_session: count("claude_code")},
        "cowork_metrics": {per_session: count("cowork")},
        "office_metrics": {app: {per_session: count(app)} for app in OFFICE_APPS},
    }


def _skills(engagement: Engagement, scope: Scope, snapshot: Snapshot) -> list[Row]:
    features = engagement.organization.spec.features
    displays = {name: (display, share) for name, display, share in SKILLS}
    rows = []
    for bucket in _use_buckets(engagement, scope, snapshot, "skills").values():
        name = bucket.cut.pop("_name")
        display, share = displays[name]
        if not scope.allows("share_status", str(share)):
            continue
        metered = [(activity, use) for activity, use in bucket.uses if use.surface != "chat"]
        units = sum(activity.listed_units * use.calls // 400 for activity, use in metered)
        priced = "skill_money" in features and bool(metered)
        plain = not scope.cuts and not scope.filters and not scope.is_range
        row = {
            "skill_name": name,
            "skill_display_name": display,
            "share_status": share,
            "distinct_user_count": len(bucket.people),
            "invocation_count": sum(use.calls for _, use in bucket.uses) if "skill_invocations" in features else None,
            "enable_count": len(bucket.people) // 2 if plain else None,
            "attributed_list_price": format_amount(units) if priced else None,
            "estimated_overage_spend": format_amount(units // 3) if priced else None,
            "currency": "USD" if priced else None,
            **_surface_blocks(bucket, scope, "skill"),
        }
        rows.append(row | bucket.cut)
    return rows


def _connectors(engagement: Engagement, scope: Scope, snapshot: Snapshot) -> list[Row]:
    features = engagement.organization.spec.features
    displays = dict(CONNECTORS)
    rows = []
    for bucket in _use_buckets(engagement, scope, snapshot, "connectors").values():
        name = bucket.cut.pop("_name")
        uses = [use for _, use in bucket.uses]
        writes, open_calls = sum(use.writes for use in uses), sum(use.unclassified for use in uses)
        classified = "connector_calls" in features
        managed = {activity.person.index for activity, use in bucket.uses if use.managed}
        auth = "managed_auth" in features and all(day >= date(2026, 7, 1) for day in bucket.days)
        row = {
            "connector_name": name,
            "connector_display_name": displays[name],
            "distinct_user_count": len(bucket.people),
            "read_call_count": sum(use.calls for use in uses) - writes - open_calls if classified else None,
            "write_call_count": writes if classified else None,
            "unclassified_call_count": open_calls if classified else None,
            "managed_auth_distinct_user_count": len(managed) if auth else None,
            "individual_auth_distinct_user_count": len(bucket.people - managed) if auth else None,
            **_surface_blocks(bucket, scope, "connector"),
        }
        rows.append(row | bucket.cut)
    return rows


def _plugins(engagement: Engagement, scope: Scope, snapshot: Snapshot) -> list[Row]:
    ids = dict(PLUGINS)
    rows = []
    for bucket in _use_buckets(engagement, scope, snapshot, "plugins").values():
        name = bucket.cut.pop("_name")
        blocks = _surface_blocks(bucket, scope, "plugin")
        row = {
            "plugin_name": name,
            "plugin_id": ids[name],
            "distinct_user_count": len(bucket.people),
            "invocation_count": sum(use.calls for _, use in bucket.uses),
            "install_count": None if scope.cuts or scope.filters or scope.is_range else len(bucket.people) // 3,
            "claude_code_metrics": blocks["claude_code_metrics"],
            "cowork_metrics": blocks["cowork_metrics"],
        }
        rows.append(row | bucket.cut)
    return rows


def _artifacts(engagement: Engagement, scope: Scope, snapshot: Snapshot) -> list[Row]:
    buckets: dict[tuple[Any, ...], Bucket] = {}
    for _day, activity in engagement.scoped(scope, snapshot):
        for surface, kind, shared, published in activity.artifacts:
            allowed = scope.allows("product", surface) and scope.allows("artifact_type", kind)
            if not allowed or not scope.allows("is_shared", str(shared)):
                continue
            for cut in engagement.group_values(activity, scope.cuts):
                values: Row = cut | ({"product": surface} if "product" in scope.cuts else {})
                key = (kind, shared, *values.values())
                bucket = buckets.setdefault(key, Bucket({"artifact_type": kind, "is_shared": shared} | values))
                bucket.people.add(activity.person.index)
                bucket.numbers.append((1, int(published)))
    return [
        buckets[key].cut
        | {
            "artifacts_created_count": len(buckets[key].numbers),
            "published_artifacts_created_count": sum(pair[1] for pair in buckets[key].numbers),
            "distinct_user_count": len(buckets[key].people),
        }
        for key in sorted(buckets, key=str)
    ]
