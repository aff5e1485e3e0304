"""Base events as columns: what a day of an organisation is made of, and exact money on top.

What is here: the columnar container, its vocabularies, filters, and amounts as int64 of 10^-12 cents.
What to add here: another column of the base events.
What must not go here: drawing events (generator.py), grouping them (grouping.py), or anything of HTTP.

One event is a piece of usage of one user (or none) at one minute of a day with one value of every dimension.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from onelens_claude.fake_api.pricing import (
    CODE_EXECUTION_PRICE,
    FACTOR_UNIT,
    WEB_SEARCH_PRICE,
    Ints,
    models_of,
    price_table,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

DIMENSIONS = (
    "product",
    "model",
    "context_window",
    "inference_geo",
    "speed",
    "slack_channel_id",
    "claude_tag_category",
    "claude_tag_user_id",
    "service_tier",
    "api_key_id",
    "workspace_id",
)
"""Dimension columns of an event, in order; code 0 is null in each."""
PRODUCT, MODEL, CONTEXT, GEO, SPEED, CHANNEL, CATEGORY, TAG_USER, TIER, API_KEY, WORKSPACE = range(len(DIMENSIONS))

COUNTS = (
    "uncached_input_tokens",
    "cache_read_input_tokens",
    "ephemeral_5m_input_tokens",
    "ephemeral_1h_input_tokens",
    "output_tokens",
    "web_search_requests",
    "code_execution_spans",
    "requests",
)
"""Count columns of an event, in order. `requests` of a code execution event counts its spans."""
UNCACHED, CACHE_READ, CACHE_5M, CACHE_1H, OUTPUT, SEARCHES, SPANS, REQUESTS = range(len(COUNTS))

PRODUCTS = (
    "chat",
    "claude_code",
    "cowork",
    "office_agent",
    "claude_in_chrome",
    "claude_design",
    "claude-tag",
    "cc_security_autopatch",
    "other",
    "messages_api",
)
GEOS = ("global", "us")
TAG_CATEGORIES = ("engaged", "proactive", "scheduled", "monitoring", "dm")
SERVICE_TIERS = ("standard", "priority")
MAX_EVENT_TOKENS = 3 * 10**8

Mask = npt.NDArray[np.bool_]
Vocabularies = dict[str, tuple[str | None, ...]]


@dataclass(frozen=True)
class Events:
    """Columns of n events. `person` is -1 where no user is behind; `factors` (10^-5): tokens, search, execution."""

    day: Ints
    minute: Ints
    person: Ints
    dims: Ints
    counts: Ints
    factors: Ints
    billable: Ints

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.day)

    def take(self, rows: Ints | Mask) -> Events:
        """Return the events of a mask or of positions (which may repeat)."""
        return Events(
            self.day[rows],
            self.minute[rows],
            self.person[rows],
            self.dims[rows],
            self.counts[rows],
            self.factors[rows],
            self.billable[rows],
        )

    def scaled(self, rows: Mask, percent: int) -> Events:
        """Return the events with the counts of the masked ones moved by so many percent (whole numbers throughout)."""
        counts = self.counts.copy()
        counts[rows] = np.minimum(counts[rows] * (100 + percent) // 100, MAX_EVENT_TOKENS)
        counts[rows, -1] = np.maximum(counts[rows, -1], 1)
        return replace(self, counts=counts)


def concatenate(parts: Sequence[Events]) -> Events:
    """All events of several containers."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return empty_events()
    return Events(
        np.concatenate([part.day for part in parts]),
        np.concatenate([part.minute for part in parts]),
        np.concatenate([part.person for part in parts]),
        np.concatenate([part.dims for part in parts]),
        np.concatenate([part.counts for part in parts]),
        np.concatenate([part.factors for part in parts]),
        np.concatenate([part.billable for part in parts]),
    )


def empty_events() -> Events:
    """No events."""
    none = np.zeros(0, dtype=np.int64)
    return Events(
        none,
        none,
        none,
        np.zeros((0, len(DIMENSIONS)), dtype=np.int64),
        np.zeros((0, len(COUNTS)), dtype=np.int64),
        np.zeros((0, 3), dtype=np.int64),
        none,
    )


class Pricer:
    """Turns the counts of events into exact list and paid amounts."""

    def __init__(self, wide: int) -> None:
        """Build the price table, and check that no single event can overflow an int64."""
        self.table = price_table(models_of(wide))
        if int(self.table.max()) * FACTOR_UNIT * MAX_EVENT_TOKENS >= 2**63:
            raise AssertionError("an event could overflow")

    def amounts(self, events: Events) -> tuple[Ints, Ints]:
        """(amount, list amount), each n x 7 in 10^-12 cents, columns as in `pricing.COMPONENTS`."""
        model, context, geo, speed = (events.dims[:, column] for column in (MODEL, CONTEXT, GEO, SPEED))
        geo = np.where(geo > len(GEOS), GEOS.index("global") + 1, geo)
        prices = self.table[model, context, geo, speed]
        listed = np.empty((len(events), 7), dtype=np.int64)
        listed[:, :5] = events.counts[:, :5] * prices
        listed[:, 5] = events.counts[:, SEARCHES] * WEB_SEARCH_PRICE
        listed[:, 6] = events.counts[:, SPANS] * CODE_EXECUTION_PRICE
        listed *= events.billable[:, None]
        factors = np.empty_like(listed)
        factors[:, :5] = events.factors[:, :1]
        factors[:, 5] = events.factors[:, 1]
        factors[:, 6] = events.factors[:, 2]
        return listed * factors, listed * FACTOR_UNIT


def lookup(vocabulary: Sequence[str | None], wanted: Collection[str | None]) -> Ints:
    """Return the codes of the wanted values of a vocabulary."""
    return np.array([code for code, value in enumerate(vocabulary) if value in wanted], dtype=np.int64)
