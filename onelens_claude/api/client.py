"""GET, authentication, pages, retries and the shared rate limit.

What is here: how one query is asked until its last page.
What to add here: a rule about a request, a cursor or a retry, with its source.
What must not go here: what an answer says (`answers.py`), which windows to ask for and where pages go (`landing`),
anything of Dagster.
Source: Claude Enterprise Analytics API documentation, 2026-10.
"""

from __future__ import annotations

import logging
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

import requests
import tenacity
from urllib3.exceptions import ConnectTimeoutError, HTTPError

from onelens_claude import __version__, errors
from onelens_claude.api.answers import api_error, read_envelope, read_moment, refuse_key, split_rows
from onelens_claude.api.bounded import BoundedSession, BoundExceededError, check_bundle
from onelens_claude.api.endpoints import Endpoint, Query, Shape
from onelens_claude.api.hiding import body_without_key, without_credentials, without_key
from onelens_claude.clock import utc_now
from onelens_claude.waiting import waiting

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator

    from onelens_claude.api.answers import Envelope
    from onelens_claude.api.bounded import Answer
    from onelens_claude.api.rate_limit import SharedRateLimit
    from onelens_claude.api.windows import Window

_log = logging.getLogger(__name__)

API_VERSION = "2023-06-01"
_CURSOR_RESTARTS = 2
_RETRIED = (errors.TransportError, errors.ServerError, errors.RateLimitedError)
_PAUSE_AFTER_429 = 10.0
"""Seconds that everybody who asks about the organisation waits when a 429 names none."""
_WHOLE_ANSWER = 5
"""Times the timeout of one wait: so long may an answer take as a whole."""
_SLOW_SECONDS = 10.0
"""An answer that takes longer is worth a word; so is a pause of half of it before another try."""
_MOST_PAGES = 20_000
_EMPTY_LIST = 2
"""Bytes of `[]`."""
_MOST_EMPTY_PAGES = 100
"""One after the other: a few may be empty."""


@dataclass(frozen=True, slots=True)
class Page:
    """One response, verbatim."""

    query: Query
    request_path: str
    """Path and query string below the base URL."""
    request_id: str | None
    fetched_at: dt.datetime
    head: str
    rows: bytes
    """The list of rows, brackets included, between `head` and `tail`."""
    tail: str
    data_refreshed_at: dt.datetime | None
    """Up to when the answer is complete, UTC; null where the endpoint does not say."""
    api_organization_id: str | None
    received: bytes | None = None
    """The body as it came, where `rows` are not all that it says (`AnalyticsClient.keeps`)."""

    @property
    def body(self) -> bytes:
        """Return the response body."""
        return b"".join((self.head.encode(), self.rows, self.tail.encode()))


class AnalyticsClient:
    """Reads one organisation. Thread-safe; can only GET; the key never appears in a message or repr."""

    def __init__(
        self,
        *,
        organization_id: str,
        base_url: str,
        api_key: Callable[[], str],
        next_api_key: Callable[[], str] | None = None,
        rate_limit: SharedRateLimit,
        attempts: int = 6,
        timeout_seconds: float = 60,
        authentication: Literal["x-api-key", "bearer"] = "x-api-key",
        api_version: str = API_VERSION,
        sleep: Callable[[float], object] | None = None,
        on_page: Callable[[], None] | None = None,
        keeps: Callable[[str, bytes], bytes] | None = None,
    ) -> None:
        """Take what a client of one organisation needs; `keeps` makes of rows what may be kept of them."""
        self._on_page = on_page
        self._keeps = keeps
        self.organization_id = organization_id
        self._base_url = base_url.rstrip("/")
        self._api_key = api_key
        self._next_api_key = next_api_key
        self.next_key_refusal = ""
        """Why the next key was not used; empty while it is, and where there is none."""
        self._rate_limit = rate_limit
        self._attempts = attempts
        self._timeout = (min(10.0, timeout_seconds), timeout_seconds)
        self._authentication = authentication
        self._api_version = api_version
        self._stopped = threading.Event()
        self._sleep = sleep or self._stopped.wait
        self._local = threading.local()

    def __repr__(self) -> str:
        return f"AnalyticsClient({self.organization_id!r}, {self._base_url!r})"

    def stop(self) -> None:
        """End every wait and send nothing more; any later request raises."""
        self._stopped.set()

    def pages(self, endpoint: Endpoint, query: Query, window: Window) -> Iterator[Page]:
        """Yield every page of one query over one window, in order.

        Raises CursorRefusedError where a cursor no longer holds: the pages so far are then void (`read_all` starts
        again); NotYetAvailableError for a day that is not aggregated yet; other ApiErrors when retries are used up.
        """
        parameters = request_parameters(endpoint, query, window)
        where = f"{self.organization_id}: {endpoint.name} {window}"
        cursor: str | None = None
        seen: set[str] = set()
        rows_seen: set[int] = set()
        empty = 0
        while True:
            page, envelope = self._page(endpoint, query, window, parameters, cursor, where)
            if self._on_page:
                self._on_page()
            yield page
            cursor = envelope.next_page if envelope.has_more is not False else None
            if not cursor:
                if envelope.has_more:
                    raise errors.MalformedResponseError(
                        "the answer says there are more pages but names no next page",
                        where=where,
                        request_id=page.request_id,
                    )
                return
            is_empty = len(page.rows) <= _EMPTY_LIST
            empty = empty + 1 if is_empty else 0
            rows = hash(page.rows)
            if not is_empty and rows in rows_seen:
                reason = "the same page came again under a new cursor"
            elif empty > _MOST_EMPTY_PAGES:
                reason = f"more than {_MOST_EMPTY_PAGES} pages without a row"
            else:
                reason = f"more than {_MOST_PAGES:,} pages" if len(seen) >= _MOST_PAGES else ""
            if reason:
                raise errors.MalformedResponseError(
                    f"{reason}, the pages would never end", where=where, request_id=page.request_id
                )
            rows_seen.add(rows)
            if cursor in seen:
                raise errors.MalformedResponseError(
                    "a page cursor was repeated; the pages would never end",
                    where=where,
                    request_id=page.request_id,
                )
            seen.add(cursor)

    def read_all(self, endpoint: Endpoint, query: Query, window: Window, on_page: Callable[[int, Page], None]) -> None:
        """Hand every page to `on_page(number from 1, page)`; what makes the pages so far void begins again from 1.

        That is a refused cursor, and, once, a `data_refreshed_at` that changed between pages: rows may then be there
        twice or not at all. If it changes again, the oldest stamp counts (`FetchedPull.data_refreshed_at`).
        """
        refused = 0
        is_first_walk = True
        while True:
            stamps: set[dt.datetime | None] = set()
            try:
                for number, page in enumerate(self.pages(endpoint, query, window), start=1):
                    stamps.add(page.data_refreshed_at)
                    if is_first_walk and len(stamps) > 1:
                        break
                    on_page(number, page)
                else:
                    return
            except errors.CursorRefusedError:
                refused += 1
                if refused > _CURSOR_RESTARTS:
                    raise
            else:
                is_first_walk = False

    def _page(
        self,
        endpoint: Endpoint,
        query: Query,
        window: Window,
        parameters: list[tuple[str, str]],
        cursor: str | None,
        where: str,
    ) -> tuple[Page, Envelope]:
        asked = [*parameters, ("page", cursor)] if cursor else parameters
        request_path = endpoint.url_path + "?" + "&".join(f"{key}={quote(value)}" for key, value in asked)

        def ask(read_key: Callable[[], str]) -> tuple[Page, Envelope]:
            self._rate_limit.acquire(self._pause)
            fetched_at = utc_now()
            key = read_key()
            response = self._get(request_path, key, where, beta=endpoint.beta)
            if response.status_code != requests.codes.ok:
                error = api_error(response, key, where=where, window=window, has_cursor=cursor is not None)
                if isinstance(error, errors.RateLimitedError):
                    self._rate_limit.block(_PAUSE_AFTER_429 if error.retry_after is None else error.retry_after)
                raise error
            request_id = response.headers.get("request-id")
            request_id = request_id and without_key(request_id, key)
            try:
                envelope = read_envelope(response.content, where=where, request_id=request_id)
                refuse_key(response.content, key, where=where, request_id=request_id)
                head, rows, tail = split_rows(response.content, envelope, where=where, request_id=request_id)
                kept = self._keeps(endpoint.name, rows) if self._keeps else rows
                stamp = envelope.data_refreshed_at and without_key(envelope.data_refreshed_at, key)
                refreshed_at = read_moment(stamp, where=where, request_id=request_id)
            except errors.ApiError as error:
                body = body_without_key(response.content, key)
                error.body = self._keeps(endpoint.name, body) if self._keeps else body
                raise
            page = Page(
                query=query,
                request_path=request_path,
                request_id=request_id,
                fetched_at=fetched_at,
                head=head,
                rows=kept,
                tail=tail,
                data_refreshed_at=refreshed_at,
                api_organization_id=envelope.organization_id,
                received=None if kept is rows else response.content,
            )
            return page, envelope

        def attempt() -> tuple[Page, Envelope]:
            if self._next_api_key:
                try:
                    return ask(self._next_api_key)
                except (errors.AuthenticationError, errors.ForbiddenError, errors.UnreadableKeyError) as error:
                    self._fall_back(error)
            return ask(self._api_key)

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_RETRIED),
            stop=tenacity.stop_after_attempt(self._attempts),
            wait=_wait,
            before_sleep=self._pause_before_next_try,
            sleep=lambda _: None,
            reraise=True,
        )
        return retrying(attempt)

    def _fall_back(self, error: errors.OnelensError) -> None:
        """Use the present key from now on, and say why."""
        if not self._next_api_key:  # another thread was first
            return
        self._next_api_key = None
        self.next_key_refusal = (
            f"{self.organization_id}: the next API key is not used, the present one is: {error} "
            "Correct next_api_key_... in the settings, or remove it to end the rotation."
        )
        _log.warning(self.next_key_refusal)

    def _pause_before_next_try(self, state: tenacity.RetryCallState) -> None:
        """Wait before a request is sent again, and say so where it takes a while."""
        seconds = state.upcoming_sleep
        if seconds < _SLOW_SECONDS / 2:
            self._pause(seconds)
            return
        error = state.outcome.exception() if state.outcome else None
        tries = f"trying again in {seconds:.0f} s, time {state.attempt_number + 1} of {self._attempts}"
        with waiting(f"{error} - {tries}", limit=seconds, topic=f"{self.organization_id}: retries"):
            self._pause(seconds)

    def _pause(self, seconds: float) -> None:
        self._sleep(seconds)
        if self._stopped.is_set():
            raise errors.StoppedError(f"{self.organization_id}: stopped")

    def _get(self, request_path: str, key: str, where: str, *, beta: str) -> Answer:
        if self._stopped.is_set():
            raise errors.StoppedError(f"{self.organization_id}: stopped")
        credentials = {"x-api-key": key} if self._authentication == "x-api-key" else {"authorization": f"Bearer {key}"}
        headers = {"anthropic-beta": beta} if beta else {}
        seconds = _WHOLE_ANSWER * self._timeout[1]
        slow = waiting(
            f"{where}: waiting for the answer of {self._base_url}",
            limit=seconds,
            after=_SLOW_SECONDS,
            topic=f"{self.organization_id}: answer",
        )
        try:
            with slow:
                return self._session.get_whole(
                    self._base_url + request_path,
                    headers={**credentials, **headers, "anthropic-version": self._api_version},
                    timeout=self._timeout,
                    seconds=seconds,
                )
        except BoundExceededError as error:
            raise errors.MalformedResponseError(f"the answer is not read further: {error}", where=where) from None
        except (OSError, HTTPError) as error:  # requests' own errors are OSErrors, as is that of a missing bundle
            if self._base_url.startswith("https"):
                check_bundle()
            reason = without_credentials(without_key(_root_cause(error), key.strip()))
            raise errors.TransportError(f"no complete answer from {self._base_url}: {reason}", where=where) from None

    @property
    def _session(self) -> BoundedSession:
        session: BoundedSession | None = getattr(self._local, "session", None)
        if session is None:
            session = BoundedSession()
            session.headers.update({"accept": "application/json", "user-agent": f"onelens-claude/{__version__}"})
            session.auth = _no_netrc
            self._local.session = session
        return session


_backoff = tenacity.wait_exponential_jitter(multiplier=0.5, max=30, jitter=0.5)


def _wait(state: tenacity.RetryCallState) -> float:
    """Return the pause before the next attempt; after a 429 the shared limit does the waiting."""
    error = state.outcome.exception() if state.outcome else None
    return 0.0 if isinstance(error, errors.RateLimitedError) else _backoff(state)


def request_parameters(endpoint: Endpoint, query: Query, window: Window) -> list[tuple[str, str]]:
    """Return the query string of one request, without cursor, in a fixed order."""
    if endpoint.shape is Shape.DAY_ROWS:
        parameters = [("date", str(window.start))]
    elif endpoint.shape is Shape.SUMMARY_ROWS:
        parameters = [("starting_date", str(window.start)), ("ending_date", str(window.end))]
    else:
        starting_at, ending_at = (f"{moment.isoformat()}Z" for moment in window.moments)
        parameters = [("starting_at", starting_at), ("ending_at", ending_at)]
        if query.bucket_width:
            name = "time_bucket_width" if endpoint.shape is Shape.FLAT_ROWS else "bucket_width"
            parameters.append((name, query.bucket_width))
    parameters += [("group_by[]", dimension) for dimension in query.group_by]
    for name, values in query.filters.items():
        parameters += [(name, value) for value in ((values,) if isinstance(values, str) else values)]
    if endpoint.page_size:
        parameters.append(("limit", str(endpoint.page_size)))
    return parameters


def _no_netrc(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep requests from adding credentials of its own from a .netrc file."""
    return request


_CONNECTION = re.compile(r"^\w+\(host=.*?\): ")
"""How urllib3 names the object that failed; our message has just named the address."""


def _root_cause(error: BaseException) -> str:
    """Return the innermost reason of a requests error, on one line."""
    reason: BaseException = error
    while True:
        inner = getattr(reason, "reason", None)
        following = (
            inner
            if isinstance(inner, BaseException)
            else next((one for one in reason.args if isinstance(one, BaseException)), None)
        )
        if following is None:
            said = reason.args[-1] if isinstance(reason, ConnectTimeoutError) else reason
            return _CONNECTION.sub("", " ".join(str(said).split())) or type(reason).__name__
        reason = following
