"""The four legacy cost and usage reports: `user_cost_report`, `user_usage_report`, `cost_report`, `usage_report`.

What is here: their parameters, ranking, the cap, and the shape of their rows.
What to add here: another parameter or column of these four.
What must not go here: filters and field blocks (framing.py), sums (grouping.py), the newer pair (flat.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from onelens_claude.fake_api.contract import (
    BUCKET_LIMITS,
    Parameters,
    Query,
    Window,
    flag,
    group_by,
    moment,
    one_of,
    refuse,
    report_window,
    text,
    whole,
)
from onelens_claude.fake_api.events import TAG_CATEGORIES
from onelens_claude.fake_api.framing import (
    FAN_OUT,
    USAGE_DIMENSIONS,
    Frame,
    apply_filters,
    billed,
    bucket_numbers,
    cost_fields,
    dimension_fields,
    frame,
    metric_values,
    rank_order,
    usage_fields,
)
from onelens_claude.fake_api.grouping import Groups, group
from onelens_claude.fake_api.spec import format_moment

if TYPE_CHECKING:
    from onelens_claude.fake_api.organization import Organization, Snapshot
    from onelens_claude.fake_api.pricing import Ints

CAP = 100
"""A bucket shows at most this many groups."""

PRODUCT_FILTER = (
    "chat",
    "chat_cowork_unified",
    "claude-tag",
    "claude_code",
    "claude_design",
    "claude_in_chrome",
    "cowork",
    "office_agent",
)
_WIDTH = one_of("1d", "1h", "1m")
_FILTERS = {
    "claude_tag_categories": one_of(*TAG_CATEGORIES),
    "claude_tag_user_ids": text,
    "context_windows": one_of("0-200k", "200k-1M"),
    "inference_geos": one_of("global", "not_available", "us"),
    "models": text,
    "products": one_of(*PRODUCT_FILTER),
    "rbac_group_ids": text,
    "slack_channel_ids": text,
    "speeds": one_of("fast", "standard"),
    "user_ids": text,
}
_SINGLE = {"starting_at": moment, "ending_at": moment, "bucket_width": _WIDTH, "page": text}


def _parameters(*, by_user: bool, cost: bool) -> Parameters:
    dimensions = (*USAGE_DIMENSIONS, *FAN_OUT) if cost else USAGE_DIMENSIONS
    metrics = (
        ("amount", "list_amount") if cost else ("output_tokens", "requests", "total_tokens", "uncached_input_tokens")
    )
    single: dict[str, Any] = {**_SINGLE, "limit": whole(1, 1000 if by_user else 256)}
    if by_user:
        single |= {"order": one_of("asc", "desc"), "order_by": one_of(*metrics), "exclude_deleted_users": flag}
    return Parameters(single, {**_FILTERS, "group_by": one_of(*dimensions)})


PARAMETERS = {
    "user_cost_report": _parameters(by_user=True, cost=True),
    "user_usage_report": _parameters(by_user=True, cost=False),
    "cost_report": _parameters(by_user=False, cost=True),
    "usage_report": _parameters(by_user=False, cost=False),
}
_LEGACY_FILTERS = {
    "claude_tag_categories": "claude_tag_category",
    "claude_tag_user_ids": "claude_tag_user_id",
    "context_windows": "context_window",
    "inference_geos": "inference_geo",
    "models": "model",
    "products": "product",
    "slack_channel_ids": "slack_channel_id",
    "speeds": "speed",
}


@dataclass(frozen=True)
class UserRows:
    """The ranked rows of a user report; a page is cut by rows before fan-out."""

    organization: Organization
    window: Window
    dimensions: tuple[str, ...]
    frame: Frame
    groups: Groups
    order: Ints
    cost: bool
    exclude_deleted: bool

    def __len__(self) -> int:
        """Return the rows before fan-out."""
        return len(self.order)

    def page(self, offset: int, limit: int, snapshot: Snapshot) -> list[dict[str, Any]]:
        """Return the rows of a page, fanned out."""
        rows: list[dict[str, Any]] = []
        for number in self.order[offset : offset + limit].tolist():
            key = self.groups.keys[number].tolist()
            actor = self.organization.people[key[0]].actor(snapshot.now)
            if self.exclude_deleted and actor["deleted"]:
                continue
            row: dict[str, Any] = {"actor": actor, "starting_at": None, "ending_at": None}
            if self.window.bucket_minutes:
                start = self.window.start + timedelta(minutes=key[1] * self.window.bucket_minutes)
                row["starting_at"] = format_moment(start)
                row["ending_at"] = format_moment(start + timedelta(minutes=self.window.bucket_minutes))
            row |= dimension_fields(self.frame, key[2:])
            if self.cost:
                for fields in cost_fields(self.groups, number, self.dimensions):
                    fields.pop("_rank")
                    rows.append(row | fields)
            else:
                total = int(self.groups.counts[number, :5].sum())
                rows.append(row | usage_fields(self.groups, number) | {"total_tokens": total})
        return rows


def user_report(organization: Organization, query: Query, snapshot: Snapshot, *, cost: bool) -> UserRows:
    """Build a user report: users ranked by their total over the window, then buckets in time order."""
    window = report_window(query, snapshot.now, width_name="bucket_width", default_width=None)
    dimensions = group_by(query.get("group_by", ()))
    priced = apply_filters(
        organization, organization.window(window.start, window.end, snapshot), query, _LEGACY_FILTERS
    )
    priced = priced.take(priced.events.person >= 0)
    framed = frame(organization, billed(priced) if cost else priced, dimensions)
    events = framed.priced.events
    bucket = bucket_numbers(framed.priced, window)
    groups = group((events.person, bucket, *framed.columns), events.counts, framed.priced.amounts, framed.priced.listed)
    metric = query.get("order_by", "amount" if cost else "total_tokens")
    descending = query.get("order", "desc") == "desc"
    totals = group((events.person,), events.counts, framed.priced.amounts, framed.priced.listed)
    rank = np.empty(len(organization.people), dtype=np.int64)
    rank[totals.keys[:, 0][rank_order(totals, metric, descending=descending)]] = np.arange(len(totals))
    high, low = metric_values(groups, metric)
    sign = -1 if descending else 1
    order = np.lexsort((low * sign, high * sign, groups.keys[:, 1], rank[groups.keys[:, 0]]))
    exclude = bool(query.get("exclude_deleted_users", False))
    return UserRows(organization, window, dimensions, framed.labels(), groups, order, cost, exclude)


@dataclass(frozen=True)
class BucketRows:
    """The buckets of `cost_report` or `usage_report`; a page is cut by buckets."""

    window: Window
    dimensions: tuple[str, ...]
    frame: Frame
    groups: Groups
    cost: bool

    def __len__(self) -> int:
        """Return the buckets in the window, empty ones included."""
        return self.window.buckets()

    def page(self, offset: int, limit: int, _snapshot: Snapshot) -> list[dict[str, Any]]:
        """Return the buckets of a page; each shows at most its top 100 groups."""
        assert self.window.bucket_minutes is not None  # noqa: S101
        width = timedelta(minutes=self.window.bucket_minutes)
        buckets = []
        for number in range(offset, min(offset + limit, len(self))):
            start = self.window.start + number * width
            low, high = np.searchsorted(self.groups.keys[:, 0], (number, number + 1))
            results = self._cost_results(low, high) if self.cost else self._usage_results(low, high)
            fields = {"starting_at": format_moment(start), "ending_at": format_moment(start + width)}
            buckets.append(fields | {"results": results[:CAP]})
        return buckets

    def _cost_results(self, low: int, high: int) -> list[dict[str, Any]]:
        results = [
            dimension_fields(self.frame, self.groups.keys[row, 1:].tolist()) | fields
            for row in range(low, high)
            for fields in cost_fields(self.groups, row, self.dimensions)
        ]
        results.sort(key=lambda fields: fields["_rank"], reverse=True)
        return [{name: value for name, value in fields.items() if name != "_rank"} for fields in results[:CAP]]

    def _usage_results(self, low: int, high: int) -> list[dict[str, Any]]:
        rows = sorted(range(low, high), key=lambda row: -int(self.groups.counts[row, :5].sum()))
        return [
            dimension_fields(self.frame, self.groups.keys[row, 1:].tolist()) | usage_fields(self.groups, row)
            for row in rows[:CAP]
        ]


def bucket_report(organization: Organization, query: Query, snapshot: Snapshot, *, cost: bool) -> BucketRows:
    """Build a bucketed report over everyone, users and automation alike."""
    window = report_window(query, snapshot.now, width_name="bucket_width", default_width="1d")
    dimensions = group_by(query.get("group_by", ()))
    priced = apply_filters(
        organization, organization.window(window.start, window.end, snapshot), query, _LEGACY_FILTERS
    )
    framed = frame(organization, billed(priced) if cost else priced, dimensions)
    events = framed.priced.events
    bucket = bucket_numbers(framed.priced, window)
    groups = group((bucket, *framed.columns), events.counts, framed.priced.amounts, framed.priced.listed)
    return BucketRows(window, dimensions, framed.labels(), groups, cost)


def bucket_limit(query: Query) -> int:
    """Return the page size in buckets; a 400 above the width's maximum."""
    width = query.get("bucket_width", "1d")
    default, most = BUCKET_LIMITS[width]
    limit = int(query.get("limit", default))
    if limit > most:
        raise refuse("limit", f"Input should be at most {most} with bucket_width={width}, got {limit}")
    return limit
