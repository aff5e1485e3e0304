"""Made-up organisations whose every runaway, climb and harmless change is known: what the detector is measured on.

Each seed is an organisation of its own kind: how noisy, how regular, how fast growing its people are is drawn from it.
Nothing here is near money: amounts are rounded to cents once they are made, and only ever read by a backtest.

What is here: spend per user, product, model and day, and what was put into it. What to add here: another kind of event.
What must not go here: the models (`dbt_project`).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from onelens_claude.backtest.labels import EVENTS, Label

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

PRODUCTS = ("chat", "claude_code", "cowork", "office_agent")
MODELS = ("claude-haiku-4-5", "claude-sonnet-4-5", "claude-opus-4-5", "claude-sonnet-4-7", "claude-opus-4-7")
FIRST_DAY = dt.date(2025, 1, 6)
_SATURDAY = 5
_JOINERS, _LEAVERS = 0.25, 0.06
_WORK_ON_HOLIDAYS = 0.2
_SMALLEST_SHARE = 0.08
WARM_UP_DAYS = 64
"""Days before the first event: a detector needs some history of its own."""


@dataclass
class LabelledOrganization:
    """An organisation's spend (columns of `spend.csv`) and what was put into it (columns of `labels.csv`)."""

    organization_id: str
    spend: pd.DataFrame
    labels: list[Label] = field(default_factory=list)


def make_organization(seed: int, *, users: int = 500, days: int = 330) -> LabelledOrganization:
    """Return one organisation; the same seed gives the same one."""
    return _Organization(seed, users, days).made()


class _Organization:
    def __init__(self, seed: int, users: int, days: int) -> None:
        self.random = np.random.default_rng(seed)
        self.id = f"backtest-{seed}"
        self.users, self.days = users, days
        self.labels: list[Label] = []
        self.weekday = np.array([(FIRST_DAY + dt.timedelta(days=day)).weekday() for day in range(days)])
        self.level = self._levels()
        self.active = self._active_days()
        self.amounts = self._amounts()

    def made(self) -> LabelledOrganization:
        """Put the events in and return the rows."""
        order = self.random.permutation(np.flatnonzero(self.started < WARM_UP_DAYS // 2))
        count = self.users // 10
        for number, user in enumerate(order[:count]):
            self._happen_to_user(int(user), EVENTS[number % len(EVENTS)])
        for user in order[count : count + count // 4]:
            self._drop(int(user))
        for user in order[count + count // 4 : count + count // 2]:
            self._migrate(int(user))
        for user in np.flatnonzero(self.started >= WARM_UP_DAYS):
            self._label(
                "user", self._name(int(user)), "benign", int(self.started[user]), int(self.started[user]) + 14, 0
            )
        self._happen_to_segments()
        return LabelledOrganization(self.id, self._rows(), self.labels)

    # how people are

    def _levels(self) -> Floats:
        """Return the logarithm of each user's usual day: who they are, how they drift, how the organisation grows."""
        usual = self.random.normal(self.random.uniform(1.9, 2.8), self.random.uniform(0.9, 1.3), self.users)
        drift = np.cumsum(self.random.normal(0, self.random.uniform(0.005, 0.012), (self.users, self.days)), axis=1)
        growth = np.log1p(self.random.uniform(0, 0.04)) * np.arange(self.days) / 30
        level: Floats = usual[:, None] + drift + growth[None, :]
        return level

    def _active_days(self) -> NDArray[np.bool_]:
        """Return who works when: weekends, holidays, holidays of their own, joining and leaving."""
        willing = self.random.beta(self.random.uniform(2, 7), 2, self.users)
        weekend = np.where(self.weekday >= _SATURDAY, self.random.uniform(0.05, 0.3), 1)
        active = self.random.random((self.users, self.days)) < willing[:, None] * weekend[None, :]
        for user in range(self.users):
            for _ in range(self.random.poisson(self.days / 200)):
                away = int(self.random.integers(0, self.days))
                active[user, away : away + int(self.random.integers(3, 15))] = False
        for holiday in self.random.choice(self.days, 6, replace=False):
            active[:, holiday] &= self.random.random(self.users) < _WORK_ON_HOLIDAYS
        joins = self.random.random(self.users) < _JOINERS
        self.started = np.where(joins, self.random.integers(0, max(1, self.days - 20), self.users), 0)
        leaves = self.random.random(self.users) < _LEAVERS
        stopped = np.where(leaves, self.random.integers(WARM_UP_DAYS, self.days, self.users), self.days)
        day = np.arange(self.days)[None, :]
        return active & (day >= self.started[:, None]) & (day < stopped[:, None])

    def _amounts(self) -> Floats:
        """Return dollars by user, day, product and model."""
        spread = self.random.uniform(*self._between(0.25, 0.35, 0.55, 0.75), self.users)
        freedom = self.random.uniform(5, 12)
        tails = self.random.standard_t(freedom, (self.users, self.days)) / np.sqrt(freedom / (freedom - 2))
        mood = np.zeros((self.users, self.days))
        for day in range(self.days):
            mood[:, day] = 0.8 * mood[:, day - 1] * (day > 0) + 0.6 * self.random.normal(size=self.users)
        share = self.random.uniform(0.2, 0.6)
        noise = spread[:, None] * (np.sqrt(1 - share**2) * tails + share * mood)
        habits = self.random.normal(0, 0.12, (self.users, 7)) - 0.4 * (np.arange(7) >= _SATURDAY)
        learning = np.clip((np.arange(self.days)[None, :] - self.started[:, None] + 1) / 14, 0.1, 1)
        learning[self.started == 0] = 1
        totals = np.where(self.active, np.exp(self.level + noise + habits[:, self.weekday]) * learning, 0)

        products = self.random.dirichlet(np.full(len(PRODUCTS), 0.35), self.users)
        products[products < _SMALLEST_SHARE] = 0
        daily = products[:, None, :] * self.random.gamma(2, 0.5, (self.users, self.days, len(PRODUCTS)))
        daily /= np.maximum(daily.sum(axis=2, keepdims=True), 1e-12)
        return totals[:, :, None, None] * daily[:, :, :, None] * self._model_shares()

    def _model_shares(self) -> Floats:
        """Return the share of each model by user, day, product: a favourite, and newer ones that replace it."""
        favourite = self.random.integers(0, 3, self.users)
        shares = np.zeros((self.users, self.days, 1, len(MODELS)))
        day = np.arange(self.days)[None, :]
        moves_at = {1: self.random.integers(90, 250), 2: self.random.integers(90, 250)}
        own = self.random.integers(-10, 10, self.users)
        rows = np.arange(self.users)
        for model, newer in ((0, None), (1, 3), (2, 4)):
            mine = np.where(favourite == model, 0.85, 0.075)[:, None]
            if newer is None:
                shares[:, :, 0, model] = mine
                continue
            moved = 1 / (1 + np.exp(-(day - moves_at[model] - own[rows][:, None]) / 3))
            shares[:, :, 0, model] = mine * (1 - moved)
            shares[:, :, 0, newer] = mine * moved
            start = int(moves_at[model]) - 15
            self._label("model", MODELS[newer], "benign", start, start + 45, 0)
        return shares

    def _between(self, *bounds: float) -> tuple[float, float]:
        low, low_end, high, high_end = bounds
        return float(self.random.uniform(low, low_end)), float(self.random.uniform(high, high_end))

    # what happens to them

    def _happen_to_user(self, user: int, kind: str) -> None:
        """Add one event to a user's main product."""
        random = self.random
        product = int(self.amounts[user].sum(axis=(0, 2)).argmax())
        usual = float(np.exp(self.level[user].mean()))
        days = {
            "spike": 1,
            "runaway": int(random.integers(1, 4)),
            "level_shift": int(random.integers(14, 40)),
            "slow_ramp": int(random.integers(40, 90)),
            "fast_mode": int(random.integers(4, 20)),
        }[kind]
        start = int(random.integers(WARM_UP_DAYS, self.days - days))
        if kind == "spike":
            worked = np.flatnonzero(self.active[user, WARM_UP_DAYS:])
            if not len(worked):
                return
            start = WARM_UP_DAYS + int(random.choice(worked))
        span = slice(start, start + days)
        before = self.amounts[user, span].sum()
        own = self.amounts[user, span, product]
        if kind in {"spike", "runaway"}:
            factor = random.uniform(4, 12) if kind == "spike" else random.uniform(20, 60)
            added = usual * factor if kind == "spike" else max(usual * factor, random.uniform(100, 1500))
            model = int(self.amounts[user].sum(axis=(0, 1)).argmax())
            own[:, model] += added * random.uniform(0.7, 1.2, days)
        elif kind == "level_shift":
            self.amounts[user, span] *= random.uniform(2.2, 4.5)
        elif kind == "slow_ramp":
            climbed = np.minimum(1, np.arange(1, days + 1) / (0.7 * days))
            self.amounts[user, span] *= np.exp(np.log(random.uniform(2, 4.5)) * climbed)[:, None, None]
        else:  # fast mode multiplies the price of the model that the user works with
            model = int(self.amounts[user, span].sum(axis=(0, 1)).argmax())
            self.amounts[user, span, :, model] *= random.uniform(3, 6)
        impact = self.amounts[user, span].sum() - before
        if impact > 0:
            self._label("user", self._name(user), kind, start, start + days - 1, impact)

    def _drop(self, user: int) -> None:
        days = int(self.random.integers(5, 20))
        start = int(self.random.integers(WARM_UP_DAYS, self.days - days))
        self.amounts[user, start : start + days] *= 0.1
        self._label("user", self._name(user), "drop", start, start + days - 1, 0)

    def _migrate(self, user: int) -> None:
        """Move a user's spend from one product to another: nothing more is spent."""
        start = int(self.random.integers(WARM_UP_DAYS, self.days - 1))
        product = int(self.amounts[user].sum(axis=(0, 2)).argmax())
        other = (product + 1) % len(PRODUCTS)
        self.amounts[user, start:, other] += self.amounts[user, start:, product]
        self.amounts[user, start:, product] = 0
        self._label("user", self._name(user), "benign", start, min(start + 30, self.days - 1), 0)

    def _happen_to_segments(self) -> None:
        """Raise all of a product, a model or the organisation for some days."""
        for scope in ("organization", "product", "model"):
            for _ in range(max(1, self.days // 110)):
                days = int(self.random.integers(1, 12))
                start = int(self.random.integers(WARM_UP_DAYS, self.days - days))
                part: list[slice | int] = [slice(None), slice(start, start + days), slice(None), slice(None)]
                value = self.id
                if scope == "product":
                    product = int(self.random.integers(len(PRODUCTS)))
                    part[2], value = product, PRODUCTS[product]
                elif scope == "model":
                    model = int(
                        self.amounts[:, start : start + days]
                        .sum(axis=(0, 1, 2))
                        .argsort()[-1 - self.random.integers(2)]
                    )
                    part[3], value = model, MODELS[model]
                before = self.amounts[tuple(part)].sum()
                self.amounts[tuple(part)] *= self.random.uniform(1.6, 3)
                self._label(
                    scope,
                    value,
                    "spike" if days == 1 else "level_shift",
                    start,
                    start + days - 1,
                    self.amounts[tuple(part)].sum() - before,
                )

    def _name(self, user: int) -> str:
        return f"user_{user:05}"

    def _label(self, scope: str, value: str, kind: str, start: int, end: int, impact: float) -> None:
        first = FIRST_DAY + dt.timedelta(days=start)
        last = FIRST_DAY + dt.timedelta(days=min(end, self.days - 1))
        self.labels.append(Label(self.id, scope, value, kind, first, last, Decimal(f"{impact:.2f}")))

    def _rows(self) -> pd.DataFrame:
        cents = np.rint(self.amounts * 100).astype(np.int64)
        user, day, product, model = np.nonzero(cents)
        dates = np.datetime64(FIRST_DAY) + day.astype("timedelta64[D]")
        return pd.DataFrame(
            {
                "organization_id": self.id,
                "activity_date": dates,
                "user_id": pd.Categorical.from_codes(user, [self._name(one) for one in range(self.users)]).astype(str),
                "product": pd.Categorical.from_codes(product, list(PRODUCTS)).astype(str),
                "model": pd.Categorical.from_codes(model, list(MODELS)).astype(str),
                "amount_cents": cents[user, day, product, model],
            }
        )
