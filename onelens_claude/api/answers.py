"""What an answer says: the few fields of a page that Python reads, and the error that any other status stands for.

What is here: reading a body whose bytes have all arrived, and the API's own words about days and pauses.
What to add here: another form or wording of an answer, with its source.
What must not go here: how it is asked for, and what is tried again (`client.py`); the rows of a page, which stay bytes
(`landing`).
Source: Claude Enterprise Analytics API documentation, 2026-10.
"""

from __future__ import annotations

import datetime as dt
import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import msgspec
import requests

from onelens_claude import errors
from onelens_claude.api.hiding import repeats_key, without_key
from onelens_claude.api.json_text import readable_json
from onelens_claude.clock import utc_now
from onelens_claude.states import DayState

if TYPE_CHECKING:
    from onelens_claude.api.bounded import Answer
    from onelens_claude.api.windows import Window

_LONGEST_LAG = dt.timedelta(days=31)
_ADMIN_KEY = "sk-ant-admin"
_ADMIN_KEY_HINT = "This is an Admin API key; the analytics endpoints need a key with the scope read:analytics."
_DAY = re.compile(r"(?<!\d)20\d\d-[01]\d-[0-3]\d(?!\d)")


class Envelope(msgspec.Struct):
    """What is read of a page in Python; the rest stays bytes."""

    data: msgspec.Raw = msgspec.Raw()
    summaries: msgspec.Raw = msgspec.Raw()
    has_more: bool | None = None
    next_page: str | None = None
    data_refreshed_at: str | None = None
    organization_id: str | None = None


class _ErrorDetail(msgspec.Struct):
    type: str | None = None
    message: str | None = None


class _ErrorBody(msgspec.Struct):
    error: _ErrorDetail | None = None
    request_id: str | None = None


_decode_envelope = msgspec.json.Decoder(Envelope).decode
_decode_error = msgspec.json.Decoder(_ErrorBody).decode


def read_envelope(body: bytes, *, where: str, request_id: str | None) -> Envelope:
    """Read the few fields of a page that the client needs. Raises MalformedResponseError or TransportError."""
    if body.lstrip()[:1] == b"<":
        raise errors.MalformedResponseError(
            "the answer has status 200, but is HTML, not JSON", where=where, request_id=request_id
        )
    try:
        envelope = _decode_envelope(readable_json(body))
    except msgspec.ValidationError as error:
        raise errors.MalformedResponseError(
            f"the answer is JSON, but not of the expected form: {error}", where=where, request_id=request_id
        ) from None
    except RecursionError:
        raise errors.MalformedResponseError(
            "the answer is nested too deeply", where=where, request_id=request_id
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.TransportError(
            f"the answer is cut off or not JSON: {error}", where=where, request_id=request_id
        ) from None
    if bytes(memoryview(envelope.data or envelope.summaries)[:1]) != b"[":
        raise errors.MalformedResponseError("the answer has no list `data`", where=where, request_id=request_id)
    return envelope


def refuse_key(body: bytes, key: str, *, where: str, request_id: str | None) -> None:
    """Raise MalformedResponseError for a page that has the key in it: pages are kept verbatim, and a key nowhere."""
    if repeats_key(body, key):
        raise errors.MalformedResponseError(
            "the answer repeats the API key and is not kept", where=where, request_id=request_id
        )


def split_rows(body: bytes, envelope: Envelope, *, where: str, request_id: str | None) -> tuple[str, bytes, str]:
    """Return what stands before the list of rows, the list, and what stands after it."""
    rows = memoryview(envelope.data or envelope.summaries)
    beginning = bytes(rows[:64])
    readable = readable_json(body)
    start = readable.index(beginning)
    while not readable.startswith(rows, start):  # text before it may begin alike
        start = readable.index(beginning, start + 1)
    end = start + len(rows)
    try:
        return body[:start].decode(), body[start:end], body[end:].decode()
    except UnicodeDecodeError as error:
        raise errors.TransportError(
            f"the answer is not UTF-8 text: {error}", where=where, request_id=request_id
        ) from None


def read_moment(text: str | None, *, where: str, request_id: str | None) -> dt.datetime | None:
    """Read a page's freshness stamp as UTC. Raises MalformedResponseError."""
    if text is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
        return moment.astimezone(dt.UTC) if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    except (ValueError, OverflowError):
        raise errors.MalformedResponseError(
            f"data_refreshed_at {text!r} is not an RFC 3339 timestamp", where=where, request_id=request_id
        ) from None


_BY_STATUS: dict[int, type[errors.ApiError]] = {
    401: errors.AuthenticationError,
    403: errors.ForbiddenError,
    404: errors.NotFoundError,
    408: errors.ServerError,
    429: errors.RateLimitedError,
}


def api_error(response: Answer, key: str, *, where: str, window: Window, has_cursor: bool) -> errors.ApiError:
    """Turn a status other than 200 into the matching error, quoting the API's own words."""
    status = response.status_code
    try:
        body = _decode_error(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        body = _ErrorBody()
    detail = body.error or _ErrorDetail()
    message = without_key(detail.message or f"HTTP {status} {response.reason or ''}".strip(), key)
    error_type = detail.type and without_key(detail.type, key)
    request_id = body.request_id or response.headers.get("request-id")
    kind: type[errors.ApiError]
    latest_day = earliest_day = None
    if status == requests.codes.bad_request:
        is_too_early, earliest_day = _earliest_available_day(message, window)
        latest_day = None if is_too_early else _latest_available_day(message, window)
        if has_cursor:
            kind = errors.CursorRefusedError
        elif is_too_early:
            kind = errors.TooEarlyError
        else:
            kind = errors.NotYetAvailableError if latest_day else errors.InvalidRequestError
    elif status >= requests.codes.internal_server_error:
        kind = errors.ServerError
    else:
        kind = _BY_STATUS.get(status, errors.MalformedResponseError)
    if kind in _VERDICTS and detail.type is None:
        kind = errors.MalformedResponseError
        message = f"{message}, without the API's own error: a firewall or proxy answered, not the API."
    error = kind(
        message,
        where=where,
        status=status,
        error_type=error_type if kind.day_state is DayState.FAILED else None,
        hint=_ADMIN_KEY_HINT if kind in _VERDICTS and key.startswith(_ADMIN_KEY) else None,
        request_id=request_id and without_key(request_id, key),
        retry_after=_retry_after(response.headers.get("retry-after")),
    )
    if isinstance(error, errors.NotYetAvailableError):
        error.latest_day = latest_day
    if isinstance(error, errors.TooEarlyError):
        error.earliest_day = earliest_day
    return error


_VERDICTS = (errors.AuthenticationError, errors.ForbiddenError)
"""What the API alone can say about a key."""


def _latest_available_day(message: str, window: Window) -> dt.date | None:
    """Return the newest day the message names as available, when the window reaches beyond it.

    The message may repeat the window's own ends, which count only when it names nothing else; a day that lies far
    back belongs to another complaint ("no earlier than ...").
    """
    if "available" not in message.lower():
        return None
    last = window.end - dt.timedelta(days=1)
    oldest = utc_now().date() - _LONGEST_LAG
    named = {day for text in _DAY.findall(message) if (day := _date(text)) and oldest <= day < last}
    return max(named - {window.start}, default=window.start if window.start in named else None)


_BEFORE_THE_EARLIEST = re.compile(
    r"earliest|no earlier than|older than|\b(?:data|available)\b.*\b(?:before|prior to)\b",
    re.IGNORECASE | re.DOTALL,
)


def _earliest_available_day(message: str, window: Window) -> tuple[bool, dt.date | None]:
    """Tell whether the API says that the window begins before its oldest day, and return that day where it is named.

    A message about the newest day may have the same words, but names no day after the window's start as the oldest.
    """
    if not _BEFORE_THE_EARLIEST.search(message):
        return False, None
    named = {day for text in _DAY.findall(message) if (day := _date(text))} - {window.start}
    if not named and window.start <= utc_now().date() - _LONGEST_LAG:
        return "latest" not in message.lower(), None
    ends = {window.end, window.end - dt.timedelta(days=1)}
    earliest = min(named - ends or named, default=window.start)
    is_about_the_newest = "latest" in message.lower() and "earliest" not in message.lower()
    return (True, earliest) if earliest > window.start and not is_about_the_newest else (False, None)


def _date(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        return None


def _retry_after(text: str | None) -> float | None:
    """Read seconds or an HTTP date."""
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(text).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (moment - dt.datetime.now(dt.UTC)).total_seconds())
