"""Waits that speak: what is waited for, how long already, and how long at most; at once and every ten seconds.

A line goes to this module's logger, so a command shows it on stderr and a run of the UI in its own log.

What is here: telling about waits. What to add here: nothing that a single kind of wait needs.
What must not go here: waiting itself, and the limits, which belong to whoever waits.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

EVERY_SECONDS = 10.0
_TICK = 0.5


@dataclass(frozen=True, slots=True)
class _Wait:
    what: str | Callable[[], str]
    limit: float
    first_at: float
    began_at: float
    topic: str

    def tell(self, now: float) -> None:
        what = self.what if isinstance(self.what, str) else self.what()
        log.warning("%s (%s so far, %s at most)", what, _in_words(now - self.began_at), _in_words(self.limit))


class _Speaker:
    """One thread for all waits of the process; it rests while nobody waits."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waits: dict[int, _Wait] = {}
        self._told_at: dict[str, float] = {}
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None

    def add(self, wait: _Wait) -> int:
        with self._changed:
            number = next(self._numbers)
            self._waits[number] = wait
            if self._thread is None:
                self._thread = threading.Thread(target=self._speak, name="waits", daemon=True)
                self._thread.start()
            self._changed.notify()
        return number

    def remove(self, number: int) -> None:
        with self._changed:
            del self._waits[number]

    def tell(self) -> None:
        """Say a line for each topic that is due; threads that wait for the same thing are one topic."""
        now = time.monotonic()
        due: dict[str, _Wait] = {}
        with self._changed:
            for wait in self._waits.values():
                told_at = self._told_at.get(wait.topic, float("-inf"))
                if now >= wait.first_at and now - told_at >= EVERY_SECONDS:
                    due.setdefault(wait.topic, wait)
            self._told_at.update(dict.fromkeys(due, now))
        for wait in due.values():
            wait.tell(now)

    def _speak(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waits))
            self.tell()
            time.sleep(_TICK)


_speaker = _Speaker()


@contextmanager
def waiting(
    what: str | Callable[[], str], *, limit: float, after: float = 0.0, topic: str | None = None
) -> Iterator[None]:
    """Tell about a wait while the block runs; it lasts `limit` seconds at most.

    The first line comes at once, or where most waits are short, `after` so many seconds. `what` may be asked for each
    line anew. Waits of one `topic` (by default, of the same words) share their lines.
    """
    began = time.monotonic()
    number = _speaker.add(_Wait(what, limit, began + after, began, topic or str(what)))
    try:
        if not after:
            _speaker.tell()
        yield
    finally:
        _speaker.remove(number)


def _in_words(seconds: float) -> str:
    minutes = seconds / 60
    return f"{seconds:.0f} s" if seconds < 120 else f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"  # noqa: PLR2004
