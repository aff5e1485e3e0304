"""The request contract: which parameters an endpoint takes, what they may be, and the errors that say so.

What is here: parameter tables, parsing, windows, and the error type with its status and body.
What to add here: another kind of parameter or refusal.
What must not go here: transport (server.py), the meaning of the data (reports.py, engagement.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from onelens_claude.fake_api.spec import EARLIEST_DAY, format_moment, midnight, parse_moment

MAX_WINDOW = timedelta(days=31)
MAX_AGE = timedelta(days=365)
MAX_ENTRIES = 100
BUCKET_MINUTES = {"1d": 1440, "1h": 60, "1m": 1}
BUCKET_LIMITS = {"1d": (7, 31), "1h": (24, 168), "1m": (60, 256)}

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    429: "rate_limit_error",
    500: "api_error",
    503: "overloaded_error",
    529: "overloaded_error",
}


class ApiError(Exception):
    """An answer that is not 200. `headers` go out with it."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})

    def body(self, request_id: str) -> dict[str, object]:
        """Return the error body of the contract."""
        error = {"type": ERROR_TYPES.get(self.status, "api_error"), "message": self.message}
        return {"type": "error", "error": error, "request_id": request_id}


def refuse(parameter: str, reason: str) -> ApiError:
    """Make the 400 that names a parameter."""
    return ApiError(400, f"{parameter}: {reason}")


Parser = Callable[[str, str], Any]


def text(_name: str, value: str) -> str:
    """Take any text."""
    return value


def flag(name: str, value: str) -> bool:
    """Take true or false."""
    if value.lower() not in {"true", "false"}:
        raise refuse(name, f"Input should be a valid boolean, got {value!r}")
    return value.lower() == "true"


def one_of(*values: str) -> Parser:
    """Take one of the values."""

    def parse(name: str, value: str) -> str:
        if value not in values:
            raise refuse(name, f"Input should be one of {', '.join(values)}; got {value!r}")
        return value

    return parse


def whole(low: int, high: int) -> Parser:
    """Take a whole number within bounds."""

    def parse(name: str, value: str) -> int:
        if not (value.isascii() and value.lstrip("-").isdigit()):
            raise refuse(name, f"Input should be a valid integer, got {value!r}")
        if not low <= int(value) <= high:
            raise refuse(name, f"Input should be between {low} and {high}, got {value}")
        return int(value)

    return parse


def calendar_day(name: str, value: str) -> date:
    """Take a UTC date in the form YYYY-MM-DD."""
    try:
        day = date.fromisoformat(value)
    except ValueError:
        day = None
    if day is None or value != day.isoformat():
        raise refuse(name, f"Input should be a UTC date in YYYY-MM-DD format, got {value!r}")
    return day


def moment(name: str, value: str) -> datetime:
    """Take an RFC 3339 timestamp with a zone."""
    try:
        return parse_moment(value)
    except ValueError:
        raise refuse(name, f"Input should be a timezone-aware RFC 3339 timestamp, got {value!r}") from None


@dataclass(frozen=True)
class Parameters:
    """What an endpoint takes: single values, and arrays (without their brackets)."""

    single: Mapping[str, Parser]
    arrays: Mapping[str, Parser]


@dataclass(frozen=True)
class Query:
    """A parsed query: `values` by name (arrays as tuples), and `canonical`, its text without the cursor."""

    values: Mapping[str, Any]
    canonical: str

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value, or the default."""
        value = self.values.get(name)
        return default if value is None else value

    def has(self, name: str) -> bool:
        """Tell whether the parameter was given."""
        return name in self.values


def parse_query(raw: bytes, parameters: Parameters) -> Query:
    """Read a query string by an endpoint's table; every deviation is a 400 that names the parameter."""
    values: dict[str, Any] = {}
    canonical: list[str] = []
    for key, value in parse_qsl(raw.decode("latin-1"), keep_blank_values=True, encoding="utf-8"):
        if key != "page":
            canonical.append(f"{key}={value}")
        _read_value(values, parameters, key, value)
    for name in parameters.arrays:
        if len(values.get(name, ())) > MAX_ENTRIES:
            raise refuse(f"{name}[]", f"At most {MAX_ENTRIES} entries")
    return Query(values, "&".join(sorted(canonical)))


def _read_value(values: dict[str, Any], parameters: Parameters, key: str, value: str) -> None:
    array = key.removesuffix("[]")
    if key == "beta":
        one_of("true")(key, value)
    elif array != key and array in parameters.arrays:
        values[array] = (*values.get(array, ()), parameters.arrays[array](key, value))
    elif key in parameters.single:
        if key in values:
            raise refuse(key, "Given more than once")
        if value:
            values[key] = parameters.single[key](key, value)
    elif key in parameters.arrays:
        raise refuse(key, f"Extra inputs are not permitted; arrays are written {key}[]")
    else:
        raise refuse(key, "Extra inputs are not permitted")


@dataclass(frozen=True)
class Window:
    """A checked time range, with its bucket width in minutes (None: the whole range at once)."""

    start: datetime
    end: datetime
    bucket_minutes: int | None

    def buckets(self) -> int:
        """Return the number of buckets."""
        assert self.bucket_minutes is not None  # noqa: S101
        return int((self.end - self.start).total_seconds() // 60) // self.bucket_minutes


def check_age(name: str, day: date, now: datetime) -> None:
    """Refuse what is older than the API goes."""
    if day < EARLIEST_DAY:
        raise refuse(name, f"Must be no earlier than {EARLIEST_DAY}, got {day}")
    if midnight(day) < midnight(now.date()) - MAX_AGE:
        raise refuse(name, f"Must be within the last 365 days, got {day}")


def report_window(query: Query, now: datetime, *, width_name: str, default_width: str | None) -> Window:
    """Check the window of a cost or usage request and snap it to whole buckets.

    Without a bucket width the range is rounded down to whole minutes.
    """
    start: datetime | None = query.get("starting_at")
    if start is None:
        raise refuse("starting_at", "Field required")
    check_age("starting_at", start.date(), now)
    if start > now:
        raise refuse("starting_at", f"Must not be in the future, got {format_moment(start)}")
    end: datetime | None = query.get("ending_at")
    if end is None:
        if query.has(width_name):
            raise refuse("ending_at", f"Required when {width_name} is set")
        end = min(now, start + MAX_WINDOW)
    if end <= start:
        raise refuse("ending_at", "Must be after starting_at")
    if end - start > MAX_WINDOW:
        raise refuse("ending_at", "The range may span at most 31 days")
    width = query.get(width_name, default_width)
    if width == "1m" and end - start > timedelta(hours=24):
        raise refuse("ending_at", f"With {width_name}=1m the range may span at most 24 hours")
    if width is None:
        return Window(_floor(start, 1), _floor(end, 1), None)
    minutes = BUCKET_MINUTES[width]
    floor = _floor(end, minutes)
    return Window(_floor(start, minutes), floor if floor == end else floor + timedelta(minutes=minutes), minutes)


def _floor(value: datetime, minutes: int) -> datetime:
    start = midnight(value.date())
    whole_minutes = int((value - start).total_seconds() // 60)
    return start + timedelta(minutes=whole_minutes - whole_minutes % minutes)


def floor_hour(value: datetime) -> datetime:
    """Round down to the hour."""
    return _floor(value, 60)


def check_available(day: date, latest: date) -> None:
    """Refuse a day that is not aggregated yet, naming the newest one that is."""
    if day > latest:
        raise ApiError(400, f"Data for {day} is not available yet. The latest available date is {latest}.")


def group_by(values: Sequence[str]) -> tuple[str, ...]:
    """Return the distinct dimensions in the order given."""
    return tuple(dict.fromkeys(values))
