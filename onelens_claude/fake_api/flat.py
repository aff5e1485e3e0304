"""The newer pair, `usage` and `cost`: flat rows, at most five dimensions, every combination, no cap.

What is here: their parameters, actors of every kind, and the shape of their rows.
What to add here: another dimension or field of this pair.
What must not go here: sums, filters and field blocks shared with the legacy reports (grouping.py, framing.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from onelens_claude.fake_api.contract import (
    Parameters,
    Query,
    Window,
    flag,
    floor_hour,
    group_by,
    moment,
    one_of,
    refuse,
    report_window,
    text,
    whole,
)
from onelens_claude.fake_api.events import TAG_CATEGORIES, Mask
from onelens_claude.fake_api.framing import (
    COLUMN,
    FAN_OUT,
    Frame,
    all_of,
    apply_filters,
    billed,
    bucket_numbers,
    cost_fields,
    frame,
    metric_values,
    usage_fields,
)
from onelens_claude.fake_api.grouping import Groups, group
from onelens_claude.fake_api.spec import format_moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onelens_claude.fake_api.organization import Organization, PricedEvents, Snapshot
    from onelens_claude.fake_api.pricing import Ints

BETA = "analytics-usage-cost-2026-08-24"
"""What the `anthropic-beta` header must say."""

MAX_DIMENSIONS = 5
GROUP_FIELDS = (
    "actor",
    "actor_type",
    "agent_id",
    "api_key_id",
    "claude_tag_category",
    "claude_tag_user_id",
    "context_window",
    "deployment_id",
    "environment_id",
    "inference_geo",
    "model",
    "organization_id",
    "product",
    "rbac_group_id",
    "service_tier",
    "session_id",
    "slack_channel_id",
    "speed",
    "user_profile_id",
    "workspace_id",
)
_NOWHERE = ("agent_ids", "deployment_ids", "environment_ids", "session_ids", "user_profile_ids", "organization_ids")
_PLATFORM = {"api_key_ids": "api_key_id", "service_tiers": "service_tier", "workspace_ids": "workspace_id"}
_SPELLING = {"claude_tag": "claude-tag"}
_ACTOR_TYPES = ("api_actor", "federated_actor", "service_account_actor", "user_actor")
_FILTERS = {
    "actor_ids": text,
    "actor_types": one_of(*_ACTOR_TYPES),
    "claude_tag_categories": one_of(*TAG_CATEGORIES),
    "claude_tag_user_ids": text,
    "context_windows": one_of("0-200k", "200k-1M"),
    "inference_geos": one_of("global", "not_available", "us"),
    "models": text,
    "products": one_of(
        "chat",
        "chat_cowork_unified",
        "claude_code",
        "claude_console",
        "claude_design",
        "claude_in_chrome",
        "claude_tag",
        "cowork",
        "managed_agents_api",
        "message_batches_api",
        "messages_api",
        "office_agent",
    ),
    "rbac_group_ids": text,
    "service_tiers": one_of("batch", "flex", "flex_discount", "priority", "priority_on_demand", "standard"),
    "slack_channel_ids": text,
    "speeds": one_of("fast", "standard"),
    "api_key_ids": text,
    "workspace_ids": text,
    **dict.fromkeys(_NOWHERE, text),
}


def _parameters(*, cost: bool) -> Parameters:
    dimensions = (*GROUP_FIELDS, *FAN_OUT) if cost else GROUP_FIELDS
    metrics = (
        ("amount", "list_amount") if cost else ("output_tokens", "requests", "total_tokens", "uncached_input_tokens")
    )
    single = {
        "starting_at": moment,
        "ending_at": moment,
        "time_bucket_width": one_of("1d", "1h", "1m"),
        "limit": whole(1, 1000),
        "order": one_of("asc", "desc"),
        "order_by": one_of(*metrics, "time"),
        "exclude_deleted_users": flag,
        "page": text,
    }
    return Parameters(single, {**_FILTERS, "group_by": one_of(*dimensions)})


PARAMETERS = {"usage": _parameters(cost=False), "cost": _parameters(cost=True)}


@dataclass(frozen=True)
class FlatRows:
    """Ranked rows; a page is cut by rows before fan-out."""

    organization: Organization
    window: Window
    dimensions: tuple[str, ...]
    frame: Frame
    groups: Groups
    order: Ints
    cost: bool
    exclude_deleted: bool
    bounds: tuple[datetime, datetime]

    def __len__(self) -> int:
        """Return the rows before fan-out."""
        return len(self.order)

    def page(self, offset: int, limit: int, snapshot: Snapshot) -> list[dict[str, Any]]:
        """Return the rows of a page, fanned out."""
        rows: list[dict[str, Any]] = []
        for number in self.order[offset : offset + limit].tolist():
            key = self.groups.keys[number].tolist()
            fields = self._group(key[1:], snapshot)
            actor = fields["actor"]
            if self.exclude_deleted and isinstance(actor, dict) and actor.get("deleted"):
                continue
            start, end = self.bounds
            if self.window.bucket_minutes:
                start = self.window.start + timedelta(minutes=key[0] * self.window.bucket_minutes)
                end = start + timedelta(minutes=self.window.bucket_minutes)
            row = {"starting_at": format_moment(start), "ending_at": format_moment(end)}
            if self.cost:
                rows.extend(
                    row | self._cost(fields, part) for part in cost_fields(self.groups, number, self.dimensions)
                )
            else:
                total = int(self.groups.counts[number, :5].sum())
                rows.append(
                    row | {"group": fields, "usage": usage_fields(self.groups, number) | {"total_tokens": total}}
                )
        return rows

    @staticmethod
    def _cost(fields: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
        grouped = fields | {"cost_type": part["cost_type"], "token_type": part["token_type"]}
        cost = {name: part[name] for name in ("amount", "list_amount", "currency", "requests")}
        return {"group": grouped, "cost": cost}

    def _group(self, codes: Sequence[int], snapshot: Snapshot) -> dict[str, Any]:
        fields: dict[str, Any] = dict.fromkeys(GROUP_FIELDS)
        position = 0
        for name in self.dimensions:
            if name in {"actor", "actor_type"}:
                value = (
                    self._actor(codes[position], snapshot)
                    if name == "actor"
                    else (None, "user_actor", "api_actor")[codes[position]]
                )
                fields[name] = value
                position += 1
        for name, words, code in zip(self.frame.names, self.frame.words, codes[position:], strict=True):
            fields[name] = "claude_tag" if words[code] == "claude-tag" else words[code]
        return fields

    def _actor(self, code: int, snapshot: Snapshot) -> dict[str, object] | None:
        people = len(self.organization.people)
        if code == 0:
            return None
        if code <= people:
            return self.organization.people[code - 1].actor(snapshot.now)
        key = self.organization.vocabularies["api_key_id"][code - people]
        return {"type": "api_actor", "api_key_id": key}


def _actor_codes(organization: Organization, priced: PricedEvents) -> tuple[Ints, Ints]:
    """(actor code, actor type code): users from 1 on, then API keys; 0 is nobody."""
    person, key = priced.events.person, priced.events.dims[:, COLUMN["api_key_id"]]
    by_key = np.where(key > 0, len(organization.people) + key, 0)
    kind = np.where(person >= 0, 1, np.where(key > 0, 2, 0))
    return np.where(person >= 0, person + 1, by_key), kind


def flat_report(organization: Organization, query: Query, snapshot: Snapshot, *, cost: bool) -> FlatRows:
    """Build the rows of `/cost` or `/usage`."""
    window = report_window(query, snapshot.now, width_name="time_bucket_width", default_width=None)
    dimensions = group_by(query.get("group_by", ()))
    if len(set(dimensions) - set(FAN_OUT)) > MAX_DIMENSIONS:
        raise refuse("group_by[]", f"At most {MAX_DIMENSIONS} dimensions, not counting cost_type and token_type")
    exclude = bool(query.get("exclude_deleted_users", False))
    if exclude and "actor" not in dimensions:
        raise refuse("exclude_deleted_users", "Requires group_by[]=actor")
    if not window.bucket_minutes:
        window = Window(floor_hour(window.start), floor_hour(window.end), None)
    priced = organization.window(window.start, window.end, snapshot)
    priced = _filtered(organization, priced, query)
    if cost:
        priced = billed(priced)
    nulls = tuple(
        name for name in dimensions if name not in COLUMN and name not in {"actor", "actor_type", "rbac_group_id"}
    )
    framed = frame(organization, priced, [name for name in dimensions if name not in {"actor", "actor_type", *nulls}])
    actor, kind = _actor_codes(organization, framed.priced)
    identity = [{"actor": actor, "actor_type": kind}[name] for name in dimensions if name in {"actor", "actor_type"}]
    bucket = bucket_numbers(framed.priced, window)
    groups = group(
        (bucket, *identity, *framed.columns), framed.priced.events.counts, framed.priced.amounts, framed.priced.listed
    )
    order = _order(groups, query, window, "amount" if cost else "total_tokens")
    bounds = (window.start, window.end)
    return FlatRows(organization, window, dimensions, framed.labels(), groups, order, cost, exclude, bounds)


def _filtered(organization: Organization, priced: PricedEvents, query: Query) -> PricedEvents:
    products = query.get("products")
    values = dict(query.values)
    if products is not None:
        values["products"] = tuple(_SPELLING.get(value, value) for value in products)
    words = {name: name.removesuffix("s") for name in _FILTERS if name.removesuffix("s") in COLUMN}
    words |= {"claude_tag_categories": "claude_tag_category", **_PLATFORM}
    priced = apply_filters(organization, priced, Query(values, query.canonical), words)
    masks: list[Mask] = []
    person, key = priced.events.person, priced.events.dims[:, COLUMN["api_key_id"]]
    if query.get("actor_ids") is not None:
        wanted = set(query.get("actor_ids"))
        people = [one.index for one in organization.people if one.user_id in wanted]
        keys = [code for code, word in enumerate(organization.vocabularies["api_key_id"]) if word in wanted]
        masks.append(np.isin(person, people) | (np.isin(key, keys) & (person < 0)))
    if query.get("actor_types") is not None:
        users, keys_wanted = ("user_actor" in query.get("actor_types")), ("api_actor" in query.get("actor_types"))
        masks.append(((person >= 0) & users) | ((person < 0) & (key > 0) & keys_wanted))
    if any(query.get(name) is not None for name in _NOWHERE):
        masks.append(np.zeros(len(priced.events), dtype=np.bool_))
    return all_of(priced, masks)


def _order(groups: Groups, query: Query, window: Window, default: str) -> Ints:
    metric = query.get("order_by", default)
    sign = -1 if query.get("order", "desc") == "desc" else 1
    if metric == "time":
        high, low = metric_values(groups, default)
        if window.bucket_minutes:
            return np.lexsort((-low, -high, groups.keys[:, 0] * sign))
        return np.lexsort((low * sign, high * sign))
    high, low = metric_values(groups, metric)
    return np.lexsort((low * sign, high * sign))
