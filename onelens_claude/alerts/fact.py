"""One thing to tell: its key, which never changes, and its words, which are those of the moment it was first seen.

What is here: the type, and how amounts, names and queries are written in it. What to add here: a field that every event
has. What must not go here: finding facts (`facts.py`), and escaping for a kind of channel (`messages.py`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Any, Literal, get_args

from onelens_claude.visible import visible

if TYPE_CHECKING:
    import datetime as dt

    from onelens_claude.settings.channels import Event

Severity = Literal["info", "warning", "critical"]
SEVERITIES = get_args(Severity)
EVERYWHERE = "*"
"""As a fact's organisation: it is of the whole installation, such as a run that failed."""
_LONGEST_NAME = 120
_LONGEST_LINE = 1_500


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What happened. Its identity names it among everything that is told of its organisation and event."""

    event: Event
    organization_id: str
    identity: tuple[str, ...]
    severity: Severity
    occurred_on: dt.date
    title: str
    text: str
    query: str
    page: str = ""
    """Path of its page in the Dagster UI."""
    impact_usd: Decimal | None = None
    data: dict[str, Any] = field(default_factory=dict)
    group: tuple[str, ...] = ()
    """Of new facts of one group only the one of the highest rank is told: 100 % says that 50 % is reached too."""
    rank: int = 0
    cause: tuple[str, ...] = ()
    """What else has the same cause and is no worse was told with it, however later it is seen."""
    is_past: bool = False
    """Long over when it was first seen: a backfill's are told as one summary."""
    is_withdrawn: bool = False
    """Revised away: told as a correction where it had been told, and else not at all."""
    holds: bool | None = None
    """Of a condition: whether it holds now. It is told when it begins, and again only after it had ended."""
    correction_of: str | None = None

    @property
    def alert_key(self) -> str:
        """The same for the same fact, whenever and wherever it is evaluated."""
        return _hashed(self.organization_id, self.event, *self.identity)


def _hashed(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def dollars(amount: Decimal) -> str:
    """Return an amount to the cent: `$1,234.50`."""
    cents = amount.quantize(Decimal("0.01"), rounding=ROUND_HALF_EVEN) + 0  # no -0.00
    return f"-${-cents:,.2f}" if cents < 0 else f"${cents:,.2f}"


def named(text: str) -> str:
    """Return a name from the API on one line and of bounded length."""
    return _shortened(visible(text), _LONGEST_NAME)


def line(text: str) -> str:
    """Return a message or a sentence from elsewhere on one line and of bounded length."""
    return _shortened(visible(" ".join(text.split())), _LONGEST_LINE)


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}…"


def literal(value: object) -> str:
    """Return a value as a literal of SQL."""
    quoted = str(value).replace("'", "''")
    return f"'{quoted}'"
