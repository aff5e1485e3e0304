"""One rate limit per organisation, shared by every thread, process and run on this machine.

The state is one small file per organisation: the moment from which the next request may leave. The file's lock is held
for a fraction of a millisecond; the waiting happens outside it.

What is here: pacing, and the pause after a 429. What to add here: another reason for everybody to wait.
What must not go here: retries (`client.py`), what a response means (`answers.py`).
"""

from __future__ import annotations

import hashlib
import os
import struct
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from filelock import FileLock

from onelens_claude.errors import ApiError
from onelens_claude.folders import state_directory, unusable_state
from onelens_claude.waiting import waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

_STATE = struct.Struct("<dd")
_SHARE = 0.96
"""Part of the limit that is used: latency bunches requests on their way, and the API counts arrivals."""
_BURST_FROM = 50
"""From this many a minute on, two requests may leave at once after a pause without exceeding any minute."""
_LONGEST_BLOCK = 3600.0
"""Seconds; a longer `retry-after` is asked again after this time."""
_LONGEST_QUEUE_SECONDS = 600.0
_LONGEST_QUEUE_REQUESTS = 100
"""A state further ahead than both comes from a clock that was set back since."""
_LONGEST_WAIT = 2 * _LONGEST_BLOCK
"""Seconds: others may be told 429 again and again while one waits for its turn."""
_WORTH_A_WORD = 5.0
"""Seconds; shorter waits are the pace itself."""


def usable_rate(requests_per_minute: int) -> float:
    """Return how many requests a minute really leave under a limit."""
    return requests_per_minute * _SHARE


class SharedRateLimit:
    """At most `requests_per_minute` in any 60 seconds over all processes that name the same organisation."""

    def __init__(
        self,
        organization_id: str,
        base_url: str,
        requests_per_minute: int,
        *,
        folder: Path | None = None,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._organization_id = organization_id
        self._rate = requests_per_minute
        name = hashlib.sha256(f"{base_url} {organization_id}".encode()).hexdigest()[:24]
        self._path = (folder or state_directory()) / f"{name}.rate"
        self._lock = FileLock(f"{self._path}.lock")
        self._interval = 60.0 / usable_rate(requests_per_minute)
        self._tolerance = self._interval if requests_per_minute >= _BURST_FROM else 0.0
        self._queue = max(_LONGEST_QUEUE_SECONDS, _LONGEST_QUEUE_REQUESTS * self._interval)
        self._now = now
        self._sleep = sleep

    def acquire(self, sleep: Callable[[float], None] | None = None) -> float:
        """Wait until one request may leave; return the seconds waited. `sleep` replaces the limit's own.

        Raises ApiError when there was no turn for two hours.
        """
        pause = sleep or self._sleep
        waited = 0.0
        while waited <= _LONGEST_WAIT:
            leave_at = self._reserve()
            while (left := leave_at - self._now()) > 0:
                with self._told(left):
                    pause(left)
                waited += left
            if self._blocked_until() <= leave_at:
                return waited  # else the API said 429 to another while this one waited: queue up again
        raise ApiError(
            f"no request could leave for {waited / 60:.0f} minutes, because the API keeps saying 429; "
            "who else uses this organisation's limit?",
            where=self._organization_id,
            error_type="rate_limit_error",
        )

    @contextmanager
    def _state(self) -> Iterator[None]:
        """Hold the lock of the state, which is in the temporary folder."""
        try:
            with self._lock:
                yield
        except OSError as error:
            raise unusable_state(self._path, error) from None

    def _told(self, seconds: float) -> AbstractContextManager[None]:
        """Return a block that tells why the next request has to wait, where that is worth a word."""
        if seconds < _WORTH_A_WORD:
            return nullcontext()
        reason = (
            "the API said 429 (too many requests)"
            if self._blocked_until() > self._now()
            else f"{self._rate} requests a minute are allowed, to all processes together"
        )
        return waiting(
            f"{self._organization_id}: waiting {seconds:.0f} s for the next request: {reason}",
            limit=seconds,
            topic=f"{self._organization_id}: rate limit",
        )

    def block(self, seconds: float) -> None:
        """Let nobody's next request leave for `seconds`: the API said 429."""
        with self._state():
            now = self._now()
            ready_at, blocked_until = self._read(now)
            self._write(ready_at, max(blocked_until, now + min(seconds, _LONGEST_BLOCK)))

    def _reserve(self) -> float:
        """Take the next free moment for one request."""
        with self._state():
            now = self._now()
            ready_at, blocked_until = self._read(now)
            ready_at = max(ready_at, now, blocked_until)
            self._write(ready_at + self._interval, blocked_until)
            return max(ready_at - self._tolerance, now, blocked_until)

    def _blocked_until(self) -> float:
        with self._state():
            return self._read(self._now())[1]

    def _read(self, now: float) -> tuple[float, float]:
        try:
            ready_at, blocked_until = _STATE.unpack(self._path.read_bytes())
        except (FileNotFoundError, struct.error):
            return now, 0.0
        return min(ready_at, now + self._queue), min(blocked_until, now + _LONGEST_BLOCK)

    def _write(self, ready_at: float, blocked_until: float) -> None:
        """Write in place and at once: a process killed here must not leave an empty state that forgets the others."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            os.pwrite(descriptor, _STATE.pack(ready_at, blocked_until), 0)
        finally:
            os.close(descriptor)
