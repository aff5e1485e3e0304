"""Windows of whole UTC days: what one request may span, and how days are joined into few of them.

What is here: the type and its arithmetic. What to add here: another way to cover days with windows.
What must not go here: which days are wanted (`ledger`), how a window is written in a request (`client.py`).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Window:
    """Whole UTC days, `start` inclusive, `end` exclusive."""

    start: dt.date
    end: dt.date
    hour: int | None = None
    """Only this UTC hour of the first day."""

    def __str__(self) -> str:
        last = self.end - dt.timedelta(days=1)
        if self.hour is not None:
            return f"{self.start}T{self.hour:02d}"
        return str(self.start) if self.start == last else f"{self.start}..{last}"

    @property
    def moments(self) -> tuple[dt.datetime, dt.datetime]:
        """First moment, and the first after it, without a zone as the warehouse stores them."""
        start, end = (dt.datetime.combine(day, dt.time()) for day in (self.start, self.end))
        if self.hour is not None:
            start += dt.timedelta(hours=self.hour)
            end = start + dt.timedelta(hours=1)
        return start, end

    @property
    def days(self) -> list[dt.date]:
        """Every day of the window, oldest first."""
        return [self.start + dt.timedelta(days=n) for n in range((self.end - self.start).days)]

    def halves(self) -> tuple[Window, Window]:
        """Return the older and the newer half of a window of at least two days."""
        middle = self.start + (self.end - self.start) // 2
        return Window(self.start, middle), Window(middle, self.end)


def windows(days: Iterable[dt.date], longest: int) -> list[Window]:
    """Join consecutive days into as few windows of at most `longest` days as possible, oldest first."""
    joined: list[Window] = []
    for day in sorted(set(days)):
        after = day + dt.timedelta(days=1)
        if joined and joined[-1].end == day and (after - joined[-1].start).days <= longest:
            joined[-1] = Window(joined[-1].start, after)
        else:
            joined.append(Window(day, after))
    return joined


def widest_windows(days: Iterable[dt.date], longest: int) -> list[Window]:
    """Return the fewest windows of at most `longest` days that cover the days, whatever lies between them."""
    found: list[Window] = []
    for day in sorted(days):
        if found and (day - found[-1].start).days < longest:
            found[-1] = Window(found[-1].start, day + dt.timedelta(days=1))
        else:
            found.append(Window(day, day + dt.timedelta(days=1)))
    return found
