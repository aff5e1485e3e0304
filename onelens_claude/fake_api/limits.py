"""The rate limit: 60 requests in any minute, per organisation.

What is here: the sliding window. What to add here: another limit by count and time. What must not go here: who asked
(server.py).
"""

from __future__ import annotations

import math
import threading
import time
from collections import defaultdict, deque
from typing import TYPE_CHECKING

from onelens_claude.fake_api.contract import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS = 60.0


class RateLimiter:
    """Counts requests of the last 60 seconds; `per_minute` None or 0 lets everything pass."""

    def __init__(self, per_minute: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._times: dict[str, deque[float]] = defaultdict(deque)

    def admit(self, organization_id: str) -> None:
        """Count one request; raise the 429 with `retry-after` (whole seconds) when it is one too many."""
        if not self.per_minute:
            return
        with self._lock:
            now = self._clock()
            times = self._times[organization_id]
            while times and times[0] <= now - _SECONDS:
                times.popleft()
            if len(times) >= self.per_minute:
                wait = max(1, math.ceil(times[0] + _SECONDS - now))
                message = f"This organization's limit of {self.per_minute} requests per minute is exceeded."
                raise ApiError(429, message, {"retry-after": str(wait)})
            times.append(now)
