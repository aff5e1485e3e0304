"""What all cost and usage endpoints share: filters, key columns, and the field blocks of their rows.

What is here: narrowing events, the codes a group is keyed by, ranking metrics, money and token fields.
What to add here: another field block or filter that both pairs have.
What must not go here: parameters and the shape of an endpoint's rows (reports.py, flat.py), sums (grouping.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from onelens_claude.fake_api.contract import refuse
from onelens_claude.fake_api.events import DIMENSIONS, OUTPUT, REQUESTS, UNCACHED, Mask, lookup
from onelens_claude.fake_api.pricing import COMPONENTS, Ints, format_amount

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onelens_claude.fake_api.contract import Query, Window
    from onelens_claude.fake_api.grouping import Groups
    from onelens_claude.fake_api.organization import Organization, PricedEvents

USAGE_DIMENSIONS = (
    "claude_tag_category",
    "claude_tag_user_id",
    "context_window",
    "inference_geo",
    "model",
    "product",
    "rbac_group_id",
    "slack_channel_id",
    "speed",
)
FAN_OUT = ("cost_type", "token_type")
COLUMN = {name: number for number, name in enumerate(DIMENSIONS)}
"""Column of a dimension among the codes of events."""


@dataclass(frozen=True)
class Frame:
    """Events after filters, with the key columns asked for: names, code columns, and the words behind the codes."""

    priced: PricedEvents
    names: tuple[str, ...]
    columns: tuple[Ints, ...]
    words: tuple[Sequence[str | None], ...]

    def labels(self) -> Frame:
        """Return the names and words alone: what rows need once the sums exist."""
        return Frame(self.priced.take(np.zeros(0, dtype=np.int64)), self.names, (), self.words)


def apply_filters(
    organization: Organization, priced: PricedEvents, query: Query, words: Mapping[str, str]
) -> PricedEvents:
    """Keep the events that match every filter given. `words` maps a filter's name to its dimension."""
    masks: list[Mask] = []
    for name, dimension in words.items():
        if query.get(name) is None:
            continue
        wanted: set[str | None] = set(query.get(name))
        if dimension == "inference_geo" and "not_available" in wanted:
            wanted.add(None)
        if dimension == "api_key_id" and "" in wanted:
            wanted.add(None)
        codes = lookup(organization.vocabularies[dimension], wanted)
        masks.append(np.isin(priced.events.dims[:, COLUMN[dimension]], codes))
    if query.get("user_ids") is not None:
        people = [person.index for person in organization.people if person.user_id in query.get("user_ids")]
        masks.append(np.isin(priced.events.person, people))
    if query.get("rbac_group_ids") is not None:
        groups = {
            organization.group_ids.index(value)
            for value in query.get("rbac_group_ids")
            if value in organization.group_ids
        }
        people = [person.index for person in organization.people if groups & set(person.groups)]
        masks.append(np.isin(priced.events.person, people))
    return all_of(priced, masks)


def all_of(priced: PricedEvents, masks: Sequence[Mask]) -> PricedEvents:
    """Return the events every mask lets through."""
    for mask in masks:
        if not mask.all():
            return priced.take(np.flatnonzero(np.stack(masks).all(axis=0)))
    return priced


def explode_groups(organization: Organization, priced: PricedEvents) -> tuple[PricedEvents, Ints]:
    """Repeat each event once per group of its user (once with code 0 for none); returns the codes beside them."""
    members = [person.groups for person in organization.people]
    sizes = np.array([max(len(groups), 1) for groups in members] + [1], dtype=np.int64)
    repeats = sizes[priced.events.person]
    rows = np.repeat(np.arange(len(priced.events)), repeats)
    starts = np.concatenate(([0], np.cumsum(repeats)[:-1])) if len(repeats) else repeats
    nth = np.arange(len(rows)) - np.repeat(starts, repeats)
    table = np.zeros((len(members) + 1, max(int(sizes.max()), 1)), dtype=np.int64)
    for row, groups in enumerate(members):
        table[row, : len(groups)] = [number + 1 for number in groups]
    exploded = priced.take(rows)
    return exploded, table[exploded.events.person, nth]


def frame(organization: Organization, priced: PricedEvents, dimensions: Sequence[str]) -> Frame:
    """Add the key columns of the dimensions (the fan-out ones are not keys)."""
    if "rbac_group_id" in dimensions and "claude_tag_user_id" in dimensions:
        raise refuse("group_by[]", "claude_tag_user_id cannot be combined with rbac_group_id")
    names = tuple(name for name in dimensions if name not in FAN_OUT)
    group_codes = None
    if "rbac_group_id" in names:
        priced, group_codes = explode_groups(organization, priced)
    columns: list[Ints] = []
    words: list[Sequence[str | None]] = []
    for name in names:
        if name == "rbac_group_id":
            assert group_codes is not None  # noqa: S101
            columns.append(group_codes)
            words.append((None, *organization.group_ids))
        else:
            columns.append(priced.events.dims[:, COLUMN[name]])
            words.append(organization.vocabularies[name])
    return Frame(priced, names, tuple(columns), tuple(words))


def cost_fields(groups: Groups, row: int, dimensions: Sequence[str]) -> list[dict[str, Any]]:
    """Return the money fields of a group: one dict, or several when cost_type or token_type fans out."""
    by_type, by_token = "cost_type" in dimensions, "token_type" in dimensions
    base = {"currency": "USD", "cost_type": None, "token_type": None, "requests": None}
    if not by_type and not by_token:
        amount, listed = groups.amounts.total(row), groups.listed.total(row)
        return [base | _money(amount, listed) | {"requests": int(groups.counts[row, REQUESTS])}]
    parts: dict[tuple[str, str | None], tuple[int, int]] = {}
    for column, (cost_type, token_type) in enumerate(COMPONENTS):
        if cost_type != "tokens" and not by_type:
            continue
        key = (cost_type, token_type if by_token else None)
        amount, listed = parts.get(key, (0, 0))
        parts[key] = (amount + groups.amounts.value(row, column), listed + groups.listed.value(row, column))
    return [
        base | _money(amount, listed) | {"cost_type": cost_type, "token_type": token_type}
        for (cost_type, token_type), (amount, listed) in parts.items()
        if listed
    ]


def _money(amount: int, listed: int) -> dict[str, Any]:
    return {"amount": format_amount(amount), "list_amount": format_amount(listed), "_rank": (amount, listed)}


def usage_fields(groups: Groups, row: int) -> dict[str, Any]:
    """Return the token fields of a group."""
    uncached, read, short, long, output, searches, _spans, requests = (int(value) for value in groups.counts[row])
    return {
        "uncached_input_tokens": uncached,
        "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long},
        "output_tokens": output,
        "server_tool_use": {"web_search_requests": searches},
        "requests": requests,
    }


def total_tokens(groups: Groups) -> Ints:
    """Return the tokens of all types per group."""
    return np.asarray(groups.counts[:, :5].sum(axis=1), dtype=np.int64)


def billed(priced: PricedEvents) -> PricedEvents:
    """Return the events that cost something at list price."""
    return priced.take(np.flatnonzero(priced.listed.any(axis=1)))


def bucket_numbers(priced: PricedEvents, window: Window) -> Ints:
    """Return the bucket of each event (0 without a bucket width)."""
    if not window.bucket_minutes:
        return np.zeros(len(priced.events), dtype=np.int64)
    start = window.start.toordinal() * 1440 + window.start.hour * 60 + window.start.minute
    return np.asarray(
        (priced.events.day * 1440 + priced.events.minute - start) // window.bucket_minutes, dtype=np.int64
    )


def metric_values(groups: Groups, metric: str) -> tuple[Ints, Ints]:
    """Return a metric per group as (high, low) halves that sort as the exact value does."""
    if metric in {"amount", "list_amount"}:
        return (groups.amounts if metric == "amount" else groups.listed).totals()
    column = {"uncached_input_tokens": UNCACHED, "output_tokens": OUTPUT, "requests": REQUESTS}.get(metric)
    value = total_tokens(groups) if column is None else groups.counts[:, column]
    return value, np.zeros_like(value)


def rank_order(groups: Groups, metric: str, *, descending: bool) -> Ints:
    """Return the groups in the order of a metric; ties keep key order."""
    high, low = metric_values(groups, metric)
    sign = -1 if descending else 1
    return np.lexsort((low * sign, high * sign))


def dimension_fields(framed: Frame, codes: Sequence[int]) -> dict[str, str | None]:
    """Return all dimension fields of a legacy row, null where not grouped."""
    fields: dict[str, str | None] = dict.fromkeys(USAGE_DIMENSIONS)
    for name, words, code in zip(framed.names, framed.words, codes, strict=True):
        fields[name] = words[code]
    return fields
