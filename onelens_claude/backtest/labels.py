"""What is known to have happened to a series: the truth that alerts are compared with.

What is here: a label and its words. What to add here: another kind of event.
What must not go here: making labels (`organizations.py`), reading them (`files.py`), comparing (`scoring.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt
    from decimal import Decimal

EVENTS = ("spike", "runaway", "level_shift", "slow_ramp", "fast_mode")
HARMLESS = ("drop", "benign")
"""What nobody wants to be told of: an alert about it is false."""
SEGMENTS = ("organization", "product", "model")
SCOPES = (*SEGMENTS, "user", "user_product")


@dataclass(frozen=True)
class Label:
    """What happened to a series; `impact_usd` is what it added, None where nobody knows. Both dates are inclusive."""

    organization_id: str
    scope: str
    scope_value: str
    kind: str
    start: dt.date
    end: dt.date
    impact_usd: Decimal | None
