"""Exact sums by group: the one place where events become totals for the reports.

What is here: composite keys, and int64 sums that cannot overflow (high and low halves, joined as Python ints).
What to add here: another exact way to add up.
What must not go here: which dimensions exist or how a row looks; the truth, which adds up on its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onelens_claude.fake_api.pricing import Ints

_SHIFT = 30
_MASK = (1 << _SHIFT) - 1


@dataclass(frozen=True)
class WideSums:
    """Sums of int64 columns as two halves: value = high * 2^30 + low, 0 <= low < 2^30."""

    high: Ints
    low: Ints

    def value(self, row: int, column: int) -> int:
        """Return one exact sum."""
        return (int(self.high[row, column]) << _SHIFT) + int(self.low[row, column])

    def total(self, row: int) -> int:
        """Return the exact sum of a row's columns."""
        return (int(self.high[row].sum()) << _SHIFT) + int(self.low[row].sum())

    def totals(self) -> tuple[Ints, Ints]:
        """(high, low) of every row's total, normalised so that they sort as the totals do."""
        low = self.low.sum(axis=1)
        return self.high.sum(axis=1) + (low >> _SHIFT), low & _MASK


@dataclass(frozen=True)
class Groups:
    """g groups: their key codes (g x k), their counts (g x 8), and paid and list sums (g x 7)."""

    keys: Ints
    counts: Ints
    amounts: WideSums
    listed: WideSums

    def __len__(self) -> int:
        """Return the number of groups."""
        return len(self.keys)


def composite(columns: Sequence[Ints], length: int) -> Ints:
    """One int64 per row that is equal exactly when all columns are (and sorts in their order)."""
    key = np.zeros(length, dtype=np.int64)
    span = 1
    for column in columns:
        if not length:
            break
        shifted = column - int(column.min())
        size = int(shifted.max()) + 1
        if span * size >= 2**62:
            key = np.unique(key, return_inverse=True)[1].reshape(-1).astype(np.int64)
            span = int(key.max()) + 1
        key = key * size + shifted
        span *= size
    return key


def group(columns: Sequence[Ints], counts: Ints, amounts: Ints, listed: Ints) -> Groups:
    """Add up counts and amounts per distinct combination of the columns; groups come in key order."""
    length = len(counts)
    if not length:
        nothing = np.zeros((0, 7), dtype=np.int64)
        sums = WideSums(nothing, nothing)
        return Groups(np.zeros((0, len(columns)), dtype=np.int64), counts, sums, sums)
    key = composite(columns, length)
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    first = order[starts]
    keys = np.stack([column[first] for column in columns], axis=1) if columns else np.zeros((1, 0), dtype=np.int64)
    return Groups(
        keys=keys,
        counts=np.add.reduceat(counts[order], starts, axis=0),
        amounts=_wide(amounts[order], starts),
        listed=_wide(listed[order], starts),
    )


def _wide(values: Ints, starts: Ints) -> WideSums:
    high = np.add.reduceat(values >> _SHIFT, starts, axis=0)
    low = np.add.reduceat(values & _MASK, starts, axis=0)
    return WideSums(high + (low >> _SHIFT), low & _MASK)
