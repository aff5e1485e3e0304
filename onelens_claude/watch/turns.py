"""Whose turn it is to be looked at, and how many requests a look may send: shared by all processes of this machine.

The state is one small file per organisation. A look takes its turn before it sends anything, and each request is
counted before it leaves, so that a crash or a second process at the same time never doubles them.

What is here: turns, the hourly allowance, the pause after a failure. What to add here: another reason to wait.
What must not go here: the API's own rate limit (`api/rate_limit.py`), what a look asks (`looking.py`).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec
from filelock import FileLock

from onelens_claude.api.rate_limit import SharedRateLimit
from onelens_claude.clock import utc_now
from onelens_claude.errors import ApiError
from onelens_claude.folders import state_directory, unusable_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from onelens_claude.settings import Organization

REQUESTS_PER_HOUR = 3
"""Today's total, today's users, and one that says more: what a look needs."""
REQUESTS_PER_HOUR_ABOVE = 12
"""While the day's total is above its band."""
_HOUR = dt.timedelta(hours=1)
_SOON = dt.timedelta(minutes=15)
"""The next look while the day's total is above its band."""
_LONGEST_DOUBLING = 3
"""After failures in a row, the pause between looks doubles so many times at most."""


class AllowanceUsedError(ApiError):
    """The organisation's requests of this hour are used up."""

    error_type = "allowance_used"


class _State(msgspec.Struct):
    looks: dict[str, int] = msgspec.field(default_factory=dict)
    """Beginning of each look of the last hour, and the requests it sent."""
    next_at: dt.datetime | None = None
    failures: int = 0
    is_above: bool = False


class Turns:
    """The turns of one organisation."""

    def __init__(self, organization: Organization, every: dt.timedelta) -> None:
        self.organization_id = organization.id
        self._every = max(every, _HOUR)
        name = hashlib.sha256(f"{organization.base_url} {organization.id}".encode()).hexdigest()[:24]
        self._path = state_directory() / f"{name}.watch"
        self._began_at = ""

    def next_at(self) -> dt.datetime:
        """Return when the next look may begin; the past where it may begin now."""
        with self._state(keep=False) as state:
            return self._next_at(state, utc_now())

    def begin(self) -> bool:
        """Take the turn, if it has come; nobody else then looks before the next one."""
        now = utc_now()
        with self._state() as state:
            if self._next_at(state, now) > now:
                return False
            self._began_at = now.isoformat()
            state.looks[self._began_at] = 0
            state.next_at = now + self._every
        return True

    def aside(self) -> None:
        """Ask something beside the looks: it takes no turn, but what it sends is counted."""
        self._began_at = utc_now().isoformat()

    def found(self, *, is_above: bool) -> None:
        """Note what the look found: above the band, more requests are allowed and the next look is soon."""
        with self._state() as state:
            state.failures, state.is_above = 0, is_above
            state.next_at = dt.datetime.fromisoformat(self._began_at) + (_SOON if is_above else self._every)

    def failed(self) -> None:
        """Note that the look failed: each further failure in a row doubles the pause before the next."""
        with self._state() as state:
            pause = self._every * 2 ** min(state.failures, _LONGEST_DOUBLING)
            state.failures += 1
            state.next_at = dt.datetime.fromisoformat(self._began_at) + pause

    def take(self) -> None:
        """Count one request that is about to leave; AllowanceUsedError where the hour has none left."""
        with self._state() as state:
            left = _allowed(state) - sum(state.looks.values())
            if left > 0:
                state.looks[self._began_at] = state.looks.get(self._began_at, 0) + 1
                return
            most = _allowed(state)
        raise AllowanceUsedError(
            f"the {most} requests of this hour are used; the next look goes on", where=self.organization_id
        )

    def _next_at(self, state: _State, now: dt.datetime) -> dt.datetime:
        """Return when the turn comes and the hour has room for a whole look."""
        furthest = now + self._every * 2**_LONGEST_DOUBLING  # beyond it, the clock was set back since
        next_at: dt.datetime = min(state.next_at or now, furthest)
        used = sum(state.looks.values())
        for began_at, requests in sorted(state.looks.items()):
            if _allowed(state) - used >= REQUESTS_PER_HOUR:
                break
            used -= requests
            next_at = max(next_at, dt.datetime.fromisoformat(began_at) + _HOUR)
        return next_at

    @contextmanager
    def _state(self, *, keep: bool = True) -> Iterator[_State]:
        """Hold the lock; yield the state without looks that are over an hour old; write it in one step."""
        now = utc_now()
        try:
            with FileLock(f"{self._path}.lock"):
                try:
                    state = msgspec.json.decode(self._path.read_bytes(), type=_State)
                except (FileNotFoundError, msgspec.DecodeError):
                    state = _State()
                moments = {began_at: dt.datetime.fromisoformat(began_at) for began_at in state.looks}
                state.looks = {one: state.looks[one] for one, at in moments.items() if now - _HOUR < at <= now}
                yield state
                if keep:
                    new = self._path.with_suffix(".watch.new")
                    new.write_bytes(msgspec.json.encode(state))
                    new.replace(self._path)
        except OSError as error:
            raise unusable_state(self._path, error) from None


def _allowed(state: _State) -> int:
    return REQUESTS_PER_HOUR_ABOVE if state.is_above else REQUESTS_PER_HOUR


class AllowedRequests(SharedRateLimit):
    """The organisation's rate limit, of which a look takes no more than its allowance; retries count too."""

    def __init__(self, turns: Turns, base_url: str, requests_per_minute: int) -> None:
        super().__init__(turns.organization_id, base_url, requests_per_minute)
        self._turns = turns

    def acquire(self, sleep: Callable[[float], None] | None = None) -> float:
        """Wait until one request may leave; AllowanceUsedError where the hour has none left."""
        self._turns.take()
        return super().acquire(sleep)
