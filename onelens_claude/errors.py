"""The errors a person is meant to read. Each message says what failed, where, and what to do next.

What is here: the hierarchy below. What to add here: a kind that callers treat differently, or that needs another hint.
What must not go here: deciding which error an answer is (`api/answers.py`).

OnelensError
├── SettingsError               onelens.yaml, an environment variable or a command-line value is wrong
│   └── UnreadableKeyError          an organisation's key is not where the settings say
├── WarehouseError              a database file cannot be read, written or locked
│   └── DamagedCopyError            the serving copy cannot be read; the next publication makes it anew
├── StoppedError                the work was called off while a request waited
├── InvalidPullError            a complete answer that breaks the contract; its bytes are kept aside
│   ├── WrongOrganizationError      it is of another organisation, or of one that two entries of the settings read
│   └── InvalidRowError             one of its rows does: a part of the window may still be good
│       └── RepeatedKeyError            two rows of one query and day have the same key
└── ApiError                    the API or the way to it
    ├── TransportError          no answer: unreachable, reset, timed out, cut off (retried)
    ├── ServerError             5xx and 529 (retried)
    ├── RateLimitedError        429 (retried after `retry-after`)
    ├── MalformedResponseError  an answer that is not a page of the API
    ├── InvalidRequestError     400
    │   ├── NotYetAvailableError    the day is not there yet; names the newest that is
    │   ├── TooEarlyError           the API holds nothing so far back; may name the oldest day it has
    │   └── CursorRefusedError      the cursor expired or does not fit; the query starts again
    ├── AuthenticationError     401
    ├── ForbiddenError          403: no scope, or access switched off
    └── NotFoundError           404
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from onelens_claude.states import DayState
from onelens_claude.visible import visible

if TYPE_CHECKING:
    import datetime as dt

_LONGEST_MESSAGE = 1_000


class OnelensError(Exception):
    """Base of every error with a message meant for people."""

    error_type = "error"
    """What the ledger calls it."""
    day_state: ClassVar[DayState] = DayState.FAILED
    """What the days asked for are then: told by `error_type`, so a state has types of its own."""
    ends_the_run: ClassVar[bool] = False
    """Whether the organisation's other days need not be asked for: they would be answered alike."""
    body: bytes | None = None
    """The answer, where one arrived whose form is wrong: kept aside for inspection."""


class SettingsError(OnelensError):
    """A setting is wrong; the message names file, key and reason."""

    error_type = "settings_error"
    ends_the_run = True


class UnreadableKeyError(SettingsError):
    """An organisation's key cannot be read; the message names the setting that says where it is."""


class WarehouseError(OnelensError):
    """A database file cannot be used; the message names it."""


class DamagedCopyError(WarehouseError):
    """The serving copy cannot be read; the next publication makes it anew."""


class DbtError(OnelensError):
    """A dbt command outside a run failed."""


class StoppedError(OnelensError):
    """The work was called off, for instance by Ctrl-C, while a request waited."""


class InvalidPullError(OnelensError):
    """A pull whose pages all arrived breaks the contract; nothing of it is loaded."""

    error_type = "invalid_data"

    def __init__(self, message: str, *, request_id: str | None = None) -> None:
        super().__init__(visible(message))  # it may quote a row
        self.request_id = visible(request_id) if request_id else None


class WrongOrganizationError(InvalidPullError):
    """The key answers for another Claude organisation than before, or for one that another entry reads."""

    error_type = "wrong_organization"
    ends_the_run = True


class InvalidRowError(InvalidPullError):
    """A row breaks the contract; the days without such a row can still be loaded."""


class RepeatedKeyError(InvalidRowError):
    """Two rows of one query and day have the same key; adding them up would count something twice.

    Pages overlap when data changes while they are read, so the pull is read once more before it is refused.
    """

    error_type = "repeated_key"


class ApiError(OnelensError):
    """The API refused or failed a request, or no answer arrived."""

    error_type = "api_error"
    """Default for the ledger's `error_type` where the answer names none."""
    hint = ""

    def __init__(
        self,
        message: str,
        *,
        where: str,
        status: int | None = None,
        error_type: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        hint: str | None = None,
    ) -> None:
        self.reason = _shown(message)
        self.status = status
        self.error_type = _shown(error_type or type(self).error_type)
        self.request_id = _shown(request_id) if request_id else None
        self.retry_after = retry_after
        status_text = f"{status} " if status else ""
        request_text = f" (request {self.request_id})" if request_id else ""
        hint = type(self).hint if hint is None else hint
        said = f"{where}: {status_text}{self.error_type}: {self.reason}{request_text}"
        end = "" if self.reason.endswith((".", "!", "?")) else "."
        super().__init__(f"{said}{end} {hint}" if hint else said)


class TransportError(ApiError):
    """No complete answer arrived."""

    error_type = "transport_error"
    ends_the_run = True
    hint = "Check base_url, the network and any proxy."


class ServerError(ApiError):
    """The API failed (5xx, 529)."""


class RateLimitedError(ApiError):
    """Over the organisation's requests per minute (429)."""

    error_type = "rate_limit_error"


class MalformedResponseError(ApiError):
    """Status 200, but the body is not a page of the API."""

    error_type = "malformed_response"
    hint = "Does base_url point to the API, with no login page or proxy in between?"


class InvalidRequestError(ApiError):
    """The API refused the request's parameters (400)."""

    error_type = "invalid_request_error"


class NotYetAvailableError(InvalidRequestError):
    """The day asked for is not aggregated yet."""

    error_type = "not_yet_available"
    day_state = DayState.LATE
    latest_day: dt.date | None = None


class TooEarlyError(InvalidRequestError):
    """The API holds nothing of the day: it is older than a year, or than the organisation."""

    error_type = "too_early"
    day_state = DayState.UNAVAILABLE
    earliest_day: dt.date | None = None
    """The oldest day it has, where the message names it."""


class CursorRefusedError(InvalidRequestError):
    """A page cursor was refused; the query must start from its first page."""


class AuthenticationError(ApiError):
    """The key is wrong or revoked (401)."""

    error_type = "authentication_error"
    day_state = DayState.FORBIDDEN
    ends_the_run = True
    hint = "Check the key of this organisation: its settings name the variable, file or program that it comes from."


class ForbiddenError(ApiError):
    """The key may not read this (403)."""

    error_type = "permission_error"
    day_state = DayState.FORBIDDEN
    ends_the_run = True
    hint = "The key needs the scope read:analytics and public API access must be on for the organisation."


class NotFoundError(ApiError):
    """No such path (404)."""

    error_type = "not_found_error"
    ends_the_run = True
    hint = "Check base_url: it must end before /v1."


def every_kind(base: type[OnelensError] = OnelensError) -> list[type[OnelensError]]:
    """Return a kind of error and all that are derived from it."""
    return [base, *(kind for derived in base.__subclasses__() for kind in every_kind(derived))]


def day_state(error_type: str) -> DayState:
    """Return what a failure of the ledger makes of the days it was asked for."""
    states = {kind.error_type: kind.day_state for kind in every_kind() if kind.day_state is not DayState.FAILED}
    return states.get(error_type, DayState.FAILED)


def _shown(text: str) -> str:
    """Return what the API said, or who answered in its place, as one line of bounded length."""
    more = len(text) - _LONGEST_MESSAGE
    return visible(text[:_LONGEST_MESSAGE]) + (f" ... ({more:,} more characters)" if more > 0 else "")
