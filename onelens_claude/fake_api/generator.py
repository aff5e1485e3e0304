"""Draws the events of one day: who is active, on what, with how many tokens.

What is here: every random choice behind usage. Floats choose counts only; money follows from counts in events.py.
What to add here: another habit of usage.
What must not go here: which days exist, revisions and caching (organization.py).

A day is drawn from (seed, day) alone, so it does not depend on the range asked for or on the order of questions.
"""

# ruff: noqa: PLR2004  -- a generator is made of chosen shares and chances

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from onelens_claude.fake_api.events import (
    API_KEY,
    CATEGORY,
    CHANNEL,
    CONTEXT,
    COUNTS,
    DIMENSIONS,
    GEO,
    GEOS,
    MAX_EVENT_TOKENS,
    MODEL,
    PRODUCT,
    PRODUCTS,
    REQUESTS,
    SEARCHES,
    SERVICE_TIERS,
    SPANS,
    SPEED,
    TAG_CATEGORIES,
    TAG_USER,
    TIER,
    UNCACHED,
    WORKSPACE,
    Events,
    Vocabularies,
)
from onelens_claude.fake_api.pricing import FACTOR_UNIT, Ints, models_of
from onelens_claude.fake_api.roster import PERSONAS, Person, tagged_id
from onelens_claude.fake_api.spec import EARLIEST_DAY, OrganizationSpec

if TYPE_CHECKING:
    from datetime import date

Floats = npt.NDArray[np.float64]

CODES = {name: code for code, name in enumerate(PRODUCTS, start=1)}
USER_PRODUCTS = 7
_WEEKDAYS = (0.92, 1.0, 0.98, 0.96, 0.82, 0.14, 0.09)
_AFFINITY = np.array(
    [
        # chat  code  cowork office chrome design tag
        [0.45, 0.95, 0.15, 0.02, 0.06, 0.02, 0.18],  # developer
        [0.70, 0.15, 0.40, 0.45, 0.18, 0.03, 0.12],  # analyst
        [0.85, 0.02, 0.35, 0.40, 0.15, 0.08, 0.10],  # writer
        [0.55, 0.08, 0.25, 0.15, 0.12, 0.90, 0.08],  # designer
        [0.75, 0.02, 0.05, 0.15, 0.05, 0.02, 0.05],  # light
    ]
)
# mean thousand tokens per event and the shares of the five token types (uncached, read, 5m, 1h, output)
_VOLUME = np.array([90, 2600, 1100, 160, 220, 300, 120, 900, 60, 800], dtype=np.float64) * 1000
_SHARES = np.array(
    [
        [0.62, 0.14, 0.06, 0.00, 0.18],
        [0.05, 0.82, 0.07, 0.02, 0.04],
        [0.09, 0.74, 0.08, 0.03, 0.06],
        [0.55, 0.25, 0.08, 0.00, 0.12],
        [0.60, 0.22, 0.10, 0.00, 0.08],
        [0.40, 0.30, 0.12, 0.00, 0.18],
        [0.50, 0.30, 0.10, 0.00, 0.10],
        [0.08, 0.78, 0.08, 0.00, 0.06],
        [0.70, 0.00, 0.00, 0.00, 0.30],
        [0.55, 0.30, 0.05, 0.00, 0.10],
    ]
)
_SEARCHES = np.array([0.5, 0.0, 0.9, 0.0, 0.7, 0.0, 0.2, 0.0, 0.0, 0.0])
_LONG = np.array([0.0, 0.16, 0.10, 0.0, 0.0, 0.0, 0.0, 0.1, 0.0, 0.0])
_MODEL_WEIGHTS = np.array([0.10, 0.14, 0.22, 0.10, 0.28, 0.16])


class Generator:
    """Draws days of one organisation; holds what is fixed for all of them."""

    def __init__(self, spec: OrganizationSpec, people: tuple[Person, ...]) -> None:
        """Prepare the people as columns, the vocabularies and the discounts."""
        self.spec = spec
        self.people = people
        self.models = models_of(spec.wide)
        self.vocabularies = self._vocabularies()
        self._presence: Floats = np.array([person.presence for person in people])
        self._spend: Floats = np.array([person.spend for person in people])
        self._fast = np.array([person.likes_fast for person in people])
        self._us = np.array([person.wants_us for person in people])
        self._joined = np.array([person.joined.toordinal() for person in people])
        self._left = np.array([person.left.toordinal() if person.left else 10**7 for person in people])
        self._service = np.array([person.is_service for person in people])
        self._affinity = _AFFINITY[[PERSONAS.index(person.persona) for person in people]].copy()
        self._affinity[self._service] = (0, 1, 0, 0, 0, 0, 0)
        self._has_fast = np.array([False] + [model.has_fast for model in self.models])
        self._has_long = np.array([False] + [model.has_long_context for model in self.models])
        weights = np.concatenate((_MODEL_WEIGHTS, np.full(len(self.models) - 6, 0.02)))
        self._model_steps: Floats = np.cumsum(weights / weights.sum())
        self._factors = self._discounts()

    def _vocabularies(self) -> Vocabularies:
        seed = self.spec.seed
        keys = tuple(tagged_id("apikey", seed, number) for number in range(3))
        spaces = tuple(tagged_id("wrkspc", seed, number) for number in range(2))
        channels = tuple(tagged_id("C", seed, number).replace("_", "").upper()[:11] for number in range(6))
        slackers = tuple(person.slack_id for person in self.people)
        unlinked = tuple(tagged_id("U", seed, "unlinked", number).replace("_", "").upper()[:11] for number in range(4))
        return {
            "product": (None, *PRODUCTS),
            "model": (None, *(model.name for model in self.models)),
            "context_window": (None, "0-200k", "200k-1M"),
            "inference_geo": (None, *GEOS, *(f"region-{number:02d}" for number in range(self.spec.regions))),
            "speed": (None, "standard", "fast"),
            "slack_channel_id": (None, *channels),
            "claude_tag_category": (None, *TAG_CATEGORIES),
            "claude_tag_user_id": (None, *slackers, *unlinked),
            "service_tier": (None, *SERVICE_TIERS),
            "api_key_id": (None, *keys),
            "workspace_id": (None, *spaces),
        }

    def _discounts(self) -> Ints:
        """Factors of 10^-5 per product (tokens, search, execution); some products are free while in preview."""
        dice = random.Random(f"discount/{self.spec.seed}")  # noqa: S311
        base = dice.randrange(84_000, 97_000)
        table = np.zeros((len(PRODUCTS) + 1, 3), dtype=np.int64)
        for product in range(len(PRODUCTS) + 1):
            table[product] = (min(base + dice.randrange(0, 3000), FACTOR_UNIT), FACTOR_UNIT, base)
        table[CODES["claude_design"], 0] = 0
        table[CODES["chat"], 0] = FACTOR_UNIT
        table[CODES["claude_in_chrome"], 1] = 0
        return table

    def day(self, day: date) -> Events:
        """Draw all events of a day, complete (before revisions)."""
        dice = np.random.Generator(np.random.PCG64([self.spec.seed, day.toordinal(), 1]))
        weekday = _WEEKDAYS[day.weekday()]
        parts = [self._people_draws(dice, day, weekday), self._automation_draws(dice, weekday)]
        person, product, minute, model, volume, dims = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        events = self._events(dice, day, person, product, minute, model, volume, dims)
        if self.spec.kind == "platform":
            return events.take(events.dims[:, PRODUCT] == CODES["messages_api"])
        return events

    def _people_draws(self, dice: np.random.Generator, day: date, weekday: float) -> list[Ints | Floats]:
        number = len(self.people)
        ordinal = day.toordinal()
        alive = (self._joined <= ordinal) & (ordinal <= self._left)
        active = (dice.random(number) < self._presence * weekday) & alive
        wants = dice.random((number, USER_PRODUCTS)) < self._affinity
        wants[np.arange(number), self._affinity.argmax(axis=1)] |= ~wants.any(axis=1)
        person, product = np.nonzero(wants & active[:, None])
        variants = 1 + (dice.random(len(person)) < 0.45) + (dice.random(len(person)) < 0.2)
        person, product = np.repeat(person, variants), np.repeat(product, variants)
        model = 1 + np.minimum(np.searchsorted(self._model_steps, dice.random(len(person))), len(self.models) - 1)
        sessions = 1 + (dice.random(len(person)) < 0.3)
        person, product, model = (np.repeat(column, sessions) for column in (person, product, model))
        growth = 1 + 0.0016 * (day - EARLIEST_DAY).days
        volume = self._spend[person] * _VOLUME[product] * dice.lognormal(0, 0.7, len(person)) * growth
        executes = active & (dice.random(number) < 0.14) & ~self._service
        spans = np.nonzero(executes)[0]
        person = np.concatenate((person, spans))
        product = np.concatenate((product + 1, np.zeros(len(spans), dtype=np.int64)))
        model = np.concatenate((model, np.zeros(len(spans), dtype=np.int64)))
        volume = np.concatenate((volume, np.zeros(len(spans))))
        minute = np.clip(dice.normal(13.4, 2.9, len(person)) * 60, 0, 1439).astype(np.int64)
        dims = np.zeros((len(person), len(DIMENSIONS)), dtype=np.int64)
        tag = product == CODES["claude-tag"]
        dims[:, CHANNEL] = np.where(tag, dice.integers(1, 7, len(person)), 0)
        category = np.array((1, 1, 1, 3, 5))[dice.integers(0, 5, len(person))]
        dims[:, CATEGORY] = np.where(tag, category, 0)
        dims[:, CHANNEL] = np.where(dims[:, CATEGORY] == 5, 0, dims[:, CHANNEL])
        dims[:, TAG_USER] = np.where(tag, person + 1, 0)
        return [person, product, minute, model, volume, dims]

    def _automation_draws(self, dice: np.random.Generator, weekday: float) -> list[Ints | Floats]:
        """Usage no user account is behind: code review, autopatch, Slack channels, others, and API keys."""
        size = max(1.0, self.spec.users / 20)
        reviews = int(dice.poisson(2.5 * size * weekday))
        patches = int(dice.poisson(0.8 * size)) if dice.random() < 0.6 else 0
        channels = int(dice.poisson(2.2 * size * weekday))
        others = int(dice.random() < 0.35)
        spans = int(dice.random() < 0.25)
        keys = int(dice.poisson(6 * size)) if self.spec.service_tiers or self.spec.kind == "platform" else 0
        names = ("claude_code", "cc_security_autopatch", "claude-tag", "other", "messages_api")
        counts = (reviews, patches, channels, others, keys)
        product = np.repeat([CODES[name] for name in names], counts).astype(np.int64)
        product = np.concatenate((product, np.zeros(spans, dtype=np.int64)))
        number = len(product)
        person = np.full(number, -1, dtype=np.int64)
        model = 1 + np.minimum(np.searchsorted(self._model_steps, dice.random(number)), len(self.models) - 1)
        model = np.where(product == 0, 0, model)
        volume = np.where(product == 0, 0.0, _VOLUME[product - 1] * dice.lognormal(0, 0.6, number))
        minute = dice.integers(0, 1440, number)
        dims = np.zeros((number, len(DIMENSIONS)), dtype=np.int64)
        tag = product == CODES["claude-tag"]
        category = np.array((4, 4, 2, 2, 3, 1))[dice.integers(0, 6, number)]
        dims[:, CHANNEL] = np.where(tag, dice.integers(1, 7, number), 0)
        dims[:, CATEGORY] = np.where(tag, category, 0)
        unlinked = len(self.people) + 1 + dice.integers(0, 4, number)
        dims[:, TAG_USER] = np.where(tag & (category == 1), unlinked, 0)
        api = product == CODES["messages_api"]
        dims[:, TIER] = np.where(api, np.where(dice.random(number) < 0.3, 2, 1), 0)
        dims[:, API_KEY] = np.where(api, dice.integers(1, 4, number), 0)
        dims[:, WORKSPACE] = np.where(api, (dims[:, API_KEY] > 1) + 1, 0)
        return [person, product, minute, model, volume, dims]

    def _events(
        self,
        dice: np.random.Generator,
        day: date,
        person: Ints,
        product: Ints,
        minute: Ints,
        model: Ints,
        volume: Floats,
        dims: Ints,
    ) -> Events:
        number = len(person)
        is_usage = product > 0
        kind = np.maximum(product - 1, 0)
        long = is_usage & self._has_long[model] & (dice.random(number) < _LONG[kind])
        fast = is_usage & self._has_fast[model] & (person >= 0) & self._fast[person] & (dice.random(number) < 0.35)
        fast &= (product == CODES["claude_code"]) | (product == CODES["cowork"])
        us = is_usage & (person >= 0) & self._us[person] & (dice.random(number) < 0.6)
        design = product == CODES["claude_design"]
        without_geo = ~is_usage | design | (product == CODES["claude_in_chrome"])
        dims[:, PRODUCT], dims[:, MODEL] = product, model
        dims[:, CONTEXT] = np.where(is_usage, 1 + long, 0)
        dims[:, GEO] = np.where(without_geo, 0, 1 + us)
        if self.spec.regions:
            region = len(GEOS) + 1 + dice.integers(0, self.spec.regions, number)
            dims[:, GEO] = np.where(dims[:, GEO] == GEOS.index("global") + 1, region, dims[:, GEO])
        dims[:, SPEED] = np.where(is_usage & ~design, 1 + fast, 0)
        volume = np.where(long, volume * 4, volume)
        tokens = _SHARES[kind] * dice.lognormal(0, 0.3, (number, 5)) * volume[:, None]
        counts = np.zeros((number, len(COUNTS)), dtype=np.int64)
        counts[:, :5] = np.minimum(tokens, MAX_EVENT_TOKENS).astype(np.int64)
        counts[:, UNCACHED] += is_usage
        counts[:, SEARCHES] = np.where(is_usage, dice.poisson(_SEARCHES[kind] * 2), 0)
        counts[:, SPANS] = np.where(is_usage, 0, 1 + dice.poisson(3, number))
        requests = 1 + dice.poisson(np.minimum(volume / (_VOLUME[kind] / 12), 5000))
        counts[:, REQUESTS] = np.where(is_usage, requests, counts[:, SPANS])
        billable = np.ones(number, dtype=np.int64)
        if self.spec.plan == "seat":
            heavy = (person < 0) | (self._spend[person] > 0.5)
            billable = (heavy & (dice.random(number) < 0.4) | (person < 0)).astype(np.int64)
        billable = np.where(dims[:, TIER] == 2, 0, billable)
        return Events(
            day=np.full(number, day.toordinal(), dtype=np.int64),
            minute=minute.astype(np.int64),
            person=person.astype(np.int64),
            dims=dims,
            counts=counts,
            factors=self._factors[product],
            billable=billable,
        )
