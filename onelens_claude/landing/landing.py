"""From "these days of these organisations" to complete pulls in the warehouse.

What is here: splitting days into windows, fetching them in parallel, appending what is whole, recording what failed and
setting refused bytes aside. What to add here: a rule about what is still asked after a failure.
What must not go here: HTTP (`api/client.py`), the files of one pull (`fetching.py`), the transaction (`appending.py`),
anything of Dagster.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import shutil
import threading
import time
import uuid
from collections import Counter, defaultdict, deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from onelens_claude import errors
from onelens_claude.api.endpoints import Endpoint, Family, Shape, first_available_day, newest_possible_day
from onelens_claude.api.windows import Window, windows
from onelens_claude.clock import naive_utc, utc_now
from onelens_claude.landing.appending import AppendedPull, append_pulls, record_failure, register_organizations
from onelens_claude.landing.fetching import FetchedPull, PullRequest, fetch, spool_session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from decimal import Decimal
    from pathlib import Path

    import duckdb

    from onelens_claude.api.client import AnalyticsClient
    from onelens_claude.settings import Settings
    from onelens_claude.warehouse.files import Warehouse

_log = logging.getLogger(__name__)

FETCH_THREADS = 4
"""Requests in flight per organisation; more gain nothing at 60 a minute."""
_ALONE = 2
"""An organisation's first requests go one at a time: they may show that others need not be sent."""
_ASKED_AHEAD = 60
"""Requests handed to the threads, so that they go on while a batch is appended."""
_FAILURES_IN_A_ROW = 3
_BATCH_BYTES = 64 * 1024 * 1024
_BATCH_PULLS = 60
_BATCH_SECONDS = 5.0


class DayStatus(StrEnum):
    """What happened to one organisation's day."""

    LOADED = "loaded"
    LATE = "late"
    """Not there yet: nothing is wrong."""
    UNAVAILABLE = "unavailable"
    """Older than anything the API answers for, or than `backfill_start`: nothing is wrong either."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class DayOutcome:
    """The result of one organisation's day at one endpoint."""

    organization_id: str
    day: dt.date
    status: DayStatus
    reason: str = ""
    """Why it is not loaded, in the API's own words where it spoke."""
    row_count: int = 0
    page_count: int = 0
    byte_count: int = 0
    """Pages and bytes are those of the pull's whole window."""
    amount_cents: Decimal | None = None
    data_refreshed_at: dt.datetime | None = None


@dataclass(slots=True)
class _Plan:
    requests: list[PullRequest] = field(default_factory=list)
    outcomes: list[DayOutcome] = field(default_factory=list)
    """Outcomes of days of which the answer is known without a request."""


class Landing:
    """Pulls days into one warehouse."""

    def __init__(
        self,
        settings: Settings,
        warehouse: Warehouse,
        clients: Mapping[str, AnalyticsClient],
        *,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._settings = settings
        self._warehouse = warehouse
        self._clients = clients
        self._on_progress = on_progress
        self._spool_folder = warehouse.path.parent / "spool"
        self._quarantine_folder = warehouse.path.parent / "quarantine"

    def land(
        self, endpoint: Endpoint, days_by_organization: Mapping[str, Iterable[dt.date]], *, run_id: str | None = None
    ) -> list[DayOutcome]:
        """Pull the days and return one outcome per organisation and day, oldest first.

        An organisation's failure is an outcome, never an exception, so that it does not hold up the others.
        Raises WarehouseError where nothing can be written.
        """
        plan = self._plan(endpoint, days_by_organization)
        with self._warehouse.writer() as connection:
            register_organizations(connection, self._settings.organizations, self._settings.polling.revision_days)
            self._warn_of_the_clock(connection)
        with spool_session(self._spool_folder) as spool:
            work = _Work(self, spool, run_id, total=len(plan.requests))
            outcomes = plan.outcomes + work.run(plan.requests)
        return sorted(outcomes, key=lambda one: (one.day, one.organization_id))

    def _warn_of_the_clock(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Say so when the ledger's newest fetch lies in the future: the clock was fast then, or is slow now."""
        row = connection.execute("select max(fetched_at) from claude_raw.pulls where status = 'complete'").fetchone()
        newest, now = row and row[0], naive_utc(utc_now())
        if newest and newest > now:
            _log.warning(
                "fetch times go backwards: it is %s UTC now, and the newest pull was fetched at %s UTC. Check this "
                "machine's clock. Pulls are ordered by the ledger, so the newest still counts.",
                f"{now:%Y-%m-%d %H:%M}",
                f"{newest:%Y-%m-%d %H:%M}",
            )

    def _plan(self, endpoint: Endpoint, days_by_organization: Mapping[str, Iterable[dt.date]]) -> _Plan:
        now = utc_now()
        oldest = first_available_day(now.date())
        newest = newest_possible_day(now, endpoint.family)
        yesterday = newest_possible_day(now, Family.COST)
        plan = _Plan()
        for organization_id, days in days_by_organization.items():
            asked = []
            start = self._settings.organization(organization_id).backfill_start
            for day in sorted(set(days)):
                status = DayStatus.UNAVAILABLE if day < max(oldest, start) else DayStatus.LATE
                if day < oldest:
                    reason = f"the API holds nothing before {oldest}"
                elif day < start:
                    reason = f"the settings' backfill_start is {start}"
                elif day > yesterday:
                    reason = f"{day} is not over yet (UTC)"
                elif day > newest:
                    reason = f"{endpoint.family} of {day} is aggregated at 10:00 UTC"
                else:
                    asked.append(day)
                    continue
                plan.outcomes.append(DayOutcome(organization_id, day, status, reason))
            for window in windows(asked, endpoint.window_days):
                plan.requests.append(PullRequest(organization_id, endpoint, window))
        return plan

    def quarantine(self, pull: FetchedPull, error: errors.OnelensError) -> Path:
        """Keep the bytes of a refused pull for inspection; return their folder."""
        pages = [{"file": page.path.name, "request_path": page.request_path} for page in pull.pages]
        with self._quarantine(pull.pull_id, error, pages) as target:
            target.mkdir(parents=True)
            for page in pull.pages:
                (target / page.path.name).write_bytes(page.body())
        return target

    def quarantine_answer(self, pull_id: str, error: errors.OnelensError, body: bytes) -> Path:
        """Keep one answer that is not a page of the API; return its folder."""
        with self._quarantine(pull_id, error, [{"file": "answer"}]) as target:
            target.mkdir(parents=True)
            (target / "answer").write_bytes(body)
        return target

    @contextmanager
    def _quarantine(self, pull_id: str, error: errors.OnelensError, pages: list[dict[str, str]]) -> Iterator[Path]:
        """Yield the folder to fill, then write the reason beside; WarehouseError where that is impossible."""
        target = self._quarantine_folder / pull_id
        try:
            yield target
            note = json.dumps({"error": str(error), "pages": pages}, indent=2)
            (target / "error.json").write_text(f"{note}\n", encoding="utf-8")
        except OSError as fault:
            reason = fault.strerror or fault
            raise errors.WarehouseError(f"{target}: refused bytes cannot be kept: {reason} ({error})") from None

    def client(self, organization_id: str) -> AnalyticsClient:
        """Return the client of one organisation."""
        return self._clients[organization_id]

    @property
    def warehouse(self) -> Warehouse:
        """Where pulls are appended."""
        return self._warehouse

    def progress(self, done: int, total: int) -> None:
        """Report how many pulls are done."""
        if self._on_progress:
            self._on_progress(done, total)


@dataclass(frozen=True, slots=True)
class _Fetched:
    """The result of one request: the pull and, if it begins later or ends earlier than asked, why."""

    pull: FetchedPull
    early: errors.TooEarlyError | None = None
    late: errors.NotYetAvailableError | None = None


@dataclass(frozen=True, slots=True)
class _Failed:
    """A failed request that needs a ledger row."""

    request: PullRequest
    error: errors.OnelensError
    pull_id: str = field(default_factory=lambda: uuid.uuid4().hex)


class _Work:
    """One call of `land`: the threads that fetch and the batches that are appended."""

    def __init__(self, landing: Landing, spool: Path, run_id: str | None, *, total: int) -> None:
        self._landing = landing
        self._spool = spool
        self._run_id = run_id
        self._total = total
        self._done = 0
        self._batch: list[FetchedPull] = []
        self._failures: list[_Failed] = []
        self._batch_since = time.monotonic()
        self._outcomes: list[DayOutcome] = []
        self._stopped: dict[str, errors.OnelensError] = {}
        """Organisations whose key or host failed for good: asking again for each window would not help."""
        self._failures_in_a_row: Counter[str] = Counter()
        self._newest: dict[str, errors.NotYetAvailableError] = {}
        self._oldest: dict[str, errors.TooEarlyError] = {}
        """What the API said about an organisation's newest and oldest day at this endpoint."""
        self._recorded: set[tuple[str, DayStatus]] = set()
        """Organisations whose late or unavailable days have their row in the ledger."""
        self._again: list[PullRequest] = []
        """Refused windows to ask for once more, whole or in halves."""
        self._read_twice: set[tuple[str, Window]] = set()
        self._guard = threading.Lock()

    def run(self, requests: list[PullRequest]) -> list[DayOutcome]:
        """Fetch in parallel per organisation, append in batches, return the outcomes."""
        queues = _queues(requests)
        with ExitStack() as stack:
            executors = {one: stack.enter_context(ThreadPoolExecutor(FETCH_THREADS)) for one in queues}
            try:
                self._collect(executors, queues)
            except BaseException:  # Ctrl-C, or a warehouse that cannot be written: nobody waits for minutes
                for organization, executor in executors.items():
                    executor.shutdown(wait=False, cancel_futures=True)
                    self._landing.client(organization).stop()
                raise
        return self._outcomes

    def _collect(self, executors: Mapping[str, ThreadPoolExecutor], queues: Mapping[str, deque[PullRequest]]) -> None:
        """Keep every organisation's threads busy and take what they fetched; the first requests go one at a time."""
        futures: dict[Future[_Fetched], PullRequest] = {}
        ended: Counter[str] = Counter()
        while True:
            again, self._again = self._again, []
            for request in again:
                queues[request.organization_id].appendleft(request)
            open_requests = Counter(request.organization_id for request in futures.values())
            for organization, queue in queues.items():
                ahead = 1 if ended[organization] < _ALONE else _ASKED_AHEAD
                for _ in range(min(ahead - open_requests[organization], len(queue))):
                    request = queue.popleft()
                    futures[executors[organization].submit(self._fetch, request)] = request
            if not futures:
                self._flush()
                if not self._again:
                    break
                continue
            for future in wait(futures, timeout=1.0, return_when=FIRST_COMPLETED).done:
                asked = futures.pop(future)
                ended[asked.organization_id] += 1
                self._take(future, asked)
            if self._batch_is_due():
                self._flush()

    def _take(self, future: Future[_Fetched], asked: PullRequest) -> None:
        try:
            fetched = future.result()
        except errors.WarehouseError:
            raise
        except (errors.InvalidRowError, errors.TooEarlyError) as error:
            if not self._ask_again(asked, error):
                self._fetch_failed(asked, error)
            return
        except errors.OnelensError as error:
            self._fetch_failed(asked, error)
            return
        self._batch.append(fetched.pull)
        got = fetched.pull.request.window
        if fetched.early:
            self._not_there(replace(asked, window=Window(asked.window.start, got.start)), fetched.early)
        if fetched.late:
            self._not_there(replace(asked, window=Window(got.end, asked.window.end)), fetched.late)

    def _not_there(self, request: PullRequest, error: errors.ApiError) -> None:
        """Note the days of a window that the API does not have, beside those it had."""
        status = DayStatus(error.day_state)
        self._failures.append(_Failed(request, error))
        self._recorded.add((request.organization_id, status))
        self._note(request.window, request.organization_id, status, error.reason)

    def _fetch(self, request: PullRequest) -> _Fetched:
        """Fetch a request, or as much of its window as is there."""
        early: errors.TooEarlyError | None = None
        late: errors.NotYetAvailableError | None = None
        while True:
            self._stop_early(request)
            try:
                return _Fetched(self._ask(request), early, late)
            except errors.NotYetAvailableError as error:
                shorter = _until(request, error.latest_day)
                if shorter is None:
                    raise
                late, request = error, shorter
            except errors.TooEarlyError as error:
                shorter = _from(request, error.earliest_day)
                if shorter is None:
                    raise
                early, request = error, shorter

    def _ask(self, request: PullRequest) -> FetchedPull:
        """Fetch once, and remember what it says about the organisation's other requests."""
        organization_id = request.organization_id
        try:
            pull = fetch(self._landing.client(organization_id), request, self._spool)
        except errors.NotYetAvailableError as error:
            with self._guard:
                self._newest[organization_id] = error
            raise
        except errors.TooEarlyError as error:
            with self._guard:
                self._oldest[organization_id] = error
            raise
        except (errors.ApiError, errors.SettingsError) as error:
            is_final = error.ends_the_run and error.body is None
            with self._guard:
                self._failures_in_a_row[organization_id] += 1
                if is_final or self._failures_in_a_row[organization_id] >= _FAILURES_IN_A_ROW:
                    self._stopped[organization_id] = error
            raise
        with self._guard:
            self._failures_in_a_row[organization_id] = 0
        return pull

    def _stop_early(self, request: PullRequest) -> None:
        """Raise the error that is already known instead of asking for it again."""
        with self._guard:
            stopped = self._stopped.get(request.organization_id)
            late = self._newest.get(request.organization_id)
            early = self._oldest.get(request.organization_id)
        if stopped:
            raise _NotAskedError(stopped)
        if late and late.latest_day and request.window.start > late.latest_day:
            raise _NotAskedError(late)
        if early and early.earliest_day and request.window.end <= early.earliest_day:
            raise _NotAskedError(early)

    def _fetch_failed(self, request: PullRequest, error: errors.OnelensError) -> None:
        cause = error.cause if isinstance(error, _NotAskedError) else error
        if is_expected := isinstance(cause, errors.NotYetAvailableError | errors.TooEarlyError):
            status, reason = DayStatus(cause.day_state), cause.reason
        else:
            status, reason = DayStatus.FAILED, str(cause)
        if cause is error or (is_expected and (request.organization_id, status) not in self._recorded):
            failed = _Failed(_until_the_earliest(request, cause), cause)
            self._failures.append(failed)
            self._recorded.add((request.organization_id, status))
        if cause is error:
            log = _log.info if is_expected else _log.error
            log("%s", error)
            if error.body is not None:
                folder = self._landing.quarantine_answer(failed.pull_id, error, error.body)
                _log.error("%s: the answer is kept in %s", request, folder)
        self._finish(request.window, request.organization_id, status, reason)

    def _batch_is_due(self) -> bool:
        waited = time.monotonic() - self._batch_since
        return (
            len(self._batch) >= _BATCH_PULLS
            or sum(pull.byte_count for pull in self._batch) >= _BATCH_BYTES
            or (bool(self._batch or self._failures) and waited >= _BATCH_SECONDS)
        )

    def _flush(self) -> None:
        """Append the batch; when a pull in it is refused, append the others one by one."""
        batch, self._batch, self._batch_since = self._batch, [], time.monotonic()
        failures, self._failures = self._failures, []
        if not batch and not failures:
            return
        with self._landing.warehouse.writer() as connection:
            for one in failures:
                record_failure(connection, one.request, one.error, pull_id=one.pull_id, run_id=self._run_id)
            try:
                appended = append_pulls(connection, batch, run_id=self._run_id)
                refused: list[tuple[FetchedPull, errors.InvalidPullError]] = []
            except errors.InvalidPullError:
                appended, refused = self._append_one_by_one(connection, batch)
        for pull, reason in refused:
            self._refuse(pull, reason)
        for done in appended:
            shutil.rmtree(done.pull.folder, ignore_errors=True)
            self._loaded(done)

    def _append_one_by_one(
        self, connection: duckdb.DuckDBPyConnection, batch: list[FetchedPull]
    ) -> tuple[list[AppendedPull], list[tuple[FetchedPull, errors.InvalidPullError]]]:
        """Return what was appended and what was refused for good; the rest is asked for again."""
        appended: list[AppendedPull] = []
        refused: list[tuple[FetchedPull, errors.InvalidPullError]] = []
        for pull in batch:
            try:
                appended += append_pulls(connection, [pull], run_id=self._run_id)
            except errors.InvalidPullError as error:
                if self._ask_again(pull.request, error):
                    shutil.rmtree(pull.folder, ignore_errors=True)
                    continue
                if error.ends_the_run:
                    with self._guard:
                        self._stopped[pull.request.organization_id] = error
                refused.append((pull, error))
                record_failure(connection, pull.request, error, pull_id=pull.pull_id, run_id=self._run_id)
        return appended, refused

    def _ask_again(self, request: PullRequest, error: errors.OnelensError) -> bool:
        """Queue a refused request once more where that can help; tell whether it is queued.

        Repeated keys may come from data that changed between pages: the whole is read once more. A bad row spoils its
        day only, and a window may begin before the API's oldest day without a word which that is: both are asked for in
        halves until the day stands alone.
        """
        asked = (request.organization_id, request.window)
        if isinstance(error, errors.RepeatedKeyError) and asked not in self._read_twice:
            self._read_twice.add(asked)
            self._again.append(request)
            _log.warning("%s; reading it once more", error)
            return True
        if isinstance(error, errors.TooEarlyError):
            can_be_halved = error.earliest_day is None
        else:
            can_be_halved = isinstance(error, errors.InvalidRowError)
        if not can_be_halved or len(request.window.days) == 1:
            return False
        halves = request.window.halves()
        self._again += [replace(request, window=half) for half in halves]
        self._total += len(halves) - 1
        _log.warning("%s; asking for %s and %s, so that the other days are loaded", error, *halves)
        return True

    def _refuse(self, pull: FetchedPull, error: errors.InvalidPullError) -> None:
        folder = self._landing.quarantine(pull, error)
        _log.error("%s; nothing of it is loaded, its bytes are kept in %s", error, folder)
        self._finish(pull.request.window, pull.request.organization_id, DayStatus.FAILED, str(error))

    def _loaded(self, appended: AppendedPull) -> None:
        pull = appended.pull
        figures = {one.day: one for one in appended.days}
        for day in pull.request.window.days:
            of_day = figures.get(day)
            self._outcomes.append(
                DayOutcome(
                    pull.request.organization_id,
                    day,
                    DayStatus.LOADED,
                    row_count=of_day.row_count if of_day else 0,
                    page_count=len(pull.pages),
                    byte_count=pull.byte_count,
                    amount_cents=of_day.amount_cents if of_day else None,
                    data_refreshed_at=pull.data_refreshed_at,
                )
            )
        self._count_done()

    def _finish(self, window: Window, organization_id: str, status: DayStatus, reason: str) -> None:
        self._note(window, organization_id, status, reason)
        self._count_done()

    def _note(self, window: Window, organization_id: str, status: DayStatus, reason: str) -> None:
        self._outcomes += [DayOutcome(organization_id, day, status, reason) for day in window.days]

    def _count_done(self) -> None:
        self._done += 1
        self._landing.progress(self._done, self._total)


class _NotAskedError(errors.OnelensError):
    """A request that was not sent, because `cause` already answers it."""

    def __init__(self, cause: errors.OnelensError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _until(request: PullRequest, latest_day: dt.date | None) -> PullRequest | None:
    """Return the part of a window that is there, when the endpoint takes more than a day and some is."""
    if request.endpoint.shape is Shape.DAY_ROWS or latest_day is None or latest_day < request.window.start:
        return None
    return replace(request, window=Window(request.window.start, latest_day + dt.timedelta(days=1)))


def _from(request: PullRequest, earliest_day: dt.date | None) -> PullRequest | None:
    """Return the part of a window that the API still has, when the endpoint takes more than a day and some is."""
    if request.endpoint.shape is Shape.DAY_ROWS or earliest_day is None or earliest_day >= request.window.end:
        return None
    return replace(request, window=Window(earliest_day, request.window.end))


def _until_the_earliest(request: PullRequest, error: errors.OnelensError) -> PullRequest:
    """Return what a failure answers for: of a day before the API's oldest, every day up to that."""
    earliest_day = error.earliest_day if isinstance(error, errors.TooEarlyError) else None
    return replace(request, window=Window(request.window.start, max(request.window.end, earliest_day or dt.date.min)))


def _queues(requests: list[PullRequest]) -> dict[str, deque[PullRequest]]:
    """Return what each organisation is asked, oldest windows first, but the newest second.

    The oldest leaves a trace of where the range begins, even where the key is refused; the newest says up to which day
    there is anything, before several requests are on their way for days that are not there yet.
    """
    queues: dict[str, deque[PullRequest]] = defaultdict(deque)
    for request in sorted(requests, key=lambda request: request.window.start):
        queues[request.organization_id].append(request)
    for queue in queues.values():
        if len(queue) > _ALONE:
            queue.insert(1, queue.pop())
    return queues
