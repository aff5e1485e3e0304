"""One rate limit per organisation, shared by every thread, process and run of this machine.

The state is one small file per organisation: the moment from which the next request may leave. Holding the
file's lock takes microseconds; the waiting itself is done outside it.
"""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

if TYPE_CHECKING:
    from collections.abc import Callable

_STATE = struct.Struct("<dd")
_SHARE = 0.96
"""Part of the limit that is used: latency bunches requests on their way, and the API counts arrivals."""
_BURST_FROM = 50
"""From this many a minute on, two requests may leave at once after a pause without exceeding any minute."""


def state_directory() -> Path:
    """Return this user's machine-wide folder for rate-limit state, not shared between users."""
    folder = Path(tempfile.gettempdir()) / f"onelens-claude-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


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
        name = hashlib.sha256(f"{base_url} {organization_id}".encode()).hexdigest()[:24]
        self._path = (folder or state_directory()) / f"{name}.rate"
        self._lock = FileLock(f"{self._path}.lock")
        self._interval = 60.0 / (requests_per_minute * _SHARE)
        self._tolerance = self._interval if requests_per_minute >= _BURST_FROM else 0.0
        self._now = now
        self._sleep = sleep

    def acquire(self) -> float:
        """Wait until one request may leave; return the seconds waited."""
        with self._lock:
            now = self._now()
            ready_at, blocked_until = self._read(now)
            ready_at = max(ready_at, now, blocked_until)
            leave_at = max(ready_at - self._tolerance, now, blocked_until)
            self._write(ready_at + self._interval, blocked_until)
        waited = 0.0
        while (left := leave_at - self._now()) > 0:
            self._sleep(left)
            waited += left
        return waited

    def block(self, seconds: float) -> None:
        """Let nobody's next request leave for `seconds`: the API said 429."""
        with self._lock:
            now = self._now()
            ready_at, blocked_until = self._read(now)
            self._write(ready_at, max(blocked_until, now + seconds))

    def _read(self, now: float) -> tuple[float, float]:
        try:
            ready_at, blocked_until = _STATE.unpack(self._path.read_bytes())
        except (FileNotFoundError, struct.error):
            return now, 0.0
        # A clock set back must not block for hours.
        horizon = now + 3600
        return min(ready_at, horizon), min(blocked_until, horizon)

    def _write(self, ready_at: float, blocked_until: float) -> None:
        self._path.write_bytes(_STATE.pack(ready_at, blocked_until))
