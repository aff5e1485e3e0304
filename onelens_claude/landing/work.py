"""One call of `Landing.land`: its requests in parallel, what is whole appended in batches, an outcome for every day.

What is here: the order of requests, the batches, and what is asked once more, whole or in halves, after a refusal.
What to add here: another kind of outcome, or a rule about what is still asked after a refused row.
What must not go here: what a thread asks (`asking.py`), which days there are to ask for (`landing.py`), the transaction
(`appending.py`), anything of Dagster.
"""

from __future__ import annotations

import datetime as dt
import logging
import shutil
import time
import uuid
from collections import Counter, defaultdict, deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from onelens_claude import errors
from onelens_claude.api.windows import Window
from onelens_claude.landing.appending import AppendedPull, append_pulls, record_failure
from onelens_claude.landing.asking import Fetched, NotAskedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal

    import duckdb

    from onelens_claude.landing.asking import Asking
    from onelens_claude.landing.fetching import FetchedPull, PullRequest
    from onelens_claude.landing.quarantine import Quarantine
    from onelens_claude.warehouse.files import Warehouse

_log = logging.getLogger(__name__)

FETCH_THREADS = 4
"""Requests in flight per organisation; more gain nothing at 60 a minute."""
_ALONE = 2
"""An organisation's first requests go one at a time: they may show that others need not be sent."""
_ASKED_AHEAD = 60
"""Requests handed to the threads, so that they go on while a batch is appended."""
_BATCH_BYTES = 64 * 1024 * 1024
_BATCH_PULLS = 60
_BATCH_SECONDS = 5.0


class DayStatus(StrEnum):
    """What one call made of an organisation's day.

    What the ledger knows of the day after all calls is `states.DayState`: a day held before stays held though this call
    failed, a loaded one may be empty, a failed one forbidden.
    """

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


@dataclass(frozen=True, slots=True)
class _Failed:
    """A failed request that needs a ledger row."""

    request: PullRequest
    error: errors.OnelensError
    pull_id: str = field(default_factory=lambda: uuid.uuid4().hex)


class Work:
    """One call of `land`: the threads that fetch and the batches that are appended."""

    def __init__(
        self,
        warehouse: Warehouse,
        asking: Asking,
        quarantine: Quarantine,
        run_id: str | None,
        on_progress: Callable[[int, int], None] | None,
    ) -> None:
        self._warehouse = warehouse
        self._asking = asking
        self._quarantine = quarantine
        self._run_id = run_id
        self._on_progress = on_progress
        self._total = self._done = 0
        self._batch: list[FetchedPull] = []
        self._failures: list[_Failed] = []
        self._batch_since = time.monotonic()
        self._outcomes: list[DayOutcome] = []
        self._recorded: set[tuple[str, DayStatus]] = set()
        """Organisations whose late or unavailable days have their row in the ledger."""
        self._again: list[PullRequest] = []
        """Refused windows to ask for once more, whole or in halves."""
        self._read_twice: set[tuple[str, Window]] = set()

    def run(self, requests: list[PullRequest]) -> list[DayOutcome]:
        """Fetch in parallel per organisation, append in batches, return the outcomes."""
        self._total = len(requests)
        queues = _queues(requests)
        with ExitStack() as stack:
            executors = {one: stack.enter_context(ThreadPoolExecutor(FETCH_THREADS)) for one in queues}
            try:
                self._collect(executors, queues)
            except BaseException:  # Ctrl-C, or a warehouse that cannot be written: nobody waits for minutes
                for organization, executor in executors.items():
                    executor.shutdown(wait=False, cancel_futures=True)
                    self._asking.end_waits(organization)
                raise
        return self._outcomes

    def _collect(self, executors: Mapping[str, ThreadPoolExecutor], queues: Mapping[str, deque[PullRequest]]) -> None:
        """Keep every organisation's threads busy and take what they fetched; the first requests go one at a time."""
        futures: dict[Future[Fetched], PullRequest] = {}
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
                    futures[executors[organization].submit(self._asking.fetch, request)] = request
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

    def _take(self, future: Future[Fetched], asked: PullRequest) -> None:
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

    def _fetch_failed(self, request: PullRequest, error: errors.OnelensError) -> None:
        cause = error.cause if isinstance(error, NotAskedError) else error
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
                folder = self._quarantine.keep_answer(failed.pull_id, error, error.body)
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
        with self._warehouse.writer() as connection:
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
                    self._asking.give_up(pull.request.organization_id, error)
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
        folder = self._quarantine.keep(pull, error)
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
        if self._on_progress:
            self._on_progress(self._done, self._total)


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
