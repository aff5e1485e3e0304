"""One look at the running day of every organisation: at most three requests each, more while a day is above its band.

First the total and the users, dearest first; what the models make of them is read at once, and decides what else is
asked: the hours of who runs away, the users of further pages, the hours of every product and model.

What is here: the order of questions, and that one organisation's trouble stays its own.
What to add here: what else to ask, depending on what was found.
What must not go here: the questions themselves (`questions.py`), the rule that tells a runaway (`dbt_project`).
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from onelens_claude import errors
from onelens_claude.api.endpoints import first_available_day
from onelens_claude.clock import utc_now
from onelens_claude.warehouse.raw_tables import WATCH_TABLES
from onelens_claude.watch import questions
from onelens_claude.watch.keeping import Answer, Look, Standing, append_answers, record_failure, standing
from onelens_claude.watch.turns import AllowanceUsedError, AllowedRequests, Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from onelens_claude.api.client import AnalyticsClient, Page
    from onelens_claude.settings import Organization, Settings
    from onelens_claude.warehouse.files import Warehouse
    from onelens_claude.watch.questions import Amount, Question

    MakeClient = Callable[[Organization, AllowedRequests, Callable[[float], None]], AnalyticsClient]
    """A client that sends each request once, under this limit, and waits by this function."""

_log = logging.getLogger(__name__)

_LONGEST_LOOK = 300.0
"""Seconds."""
_LONGEST_WAIT = 90.0
"""Seconds a request may wait for its turn: the organisation's own limit may be as low as one a minute."""
_BEFORE_ANOTHER = 1.0
"""Seconds."""
_AGAIN = (errors.TransportError, errors.ServerError)
"""What is asked once more, at once, from the same allowance."""
_MOST_NAMED = 50
"""Users whose hours are asked for: their ids stand in the request's address."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one organisation's turn."""

    organization_id: str
    next_at: dt.datetime
    is_due: bool = True
    """Off: it was not the organisation's turn, and nothing was asked."""
    standing: Standing | None = None
    """Null where nothing was seen, or the marts were never built."""
    error: errors.OnelensError | None = None
    """Why nothing was seen."""

    def in_words(self) -> str:
        """Return what was seen, or why nothing was."""
        if self.error:
            return str(self.error)
        next_at = f"next look at {self.next_at:%Y-%m-%d %H:%M} UTC"
        if not self.is_due:
            return f"not due; {next_at}"
        seen = self.standing.in_words() if self.standing else "seen, but no mart is built yet, or the day is pulled"
        return f"{seen}; {next_at}"


def look_at_today(
    settings: Settings,
    warehouse: Warehouse,
    make_client: MakeClient,
    *,
    organizations: Sequence[Organization] | None = None,
    run_id: str | None = None,
) -> list[Outcome]:
    """Look at every organisation whose turn it is, all at once; return one outcome each, in the settings' order.

    An organisation's failure is an outcome, never an exception. Raises WarehouseError where nothing can be written.
    """
    chosen = list(organizations or settings.organizations)
    with ThreadPoolExecutor(len(chosen)) as threads:
        asked = {
            threads.submit(_Looking(settings, warehouse, make_client, organization, run_id).look): organization.id
            for organization in chosen
        }
        outcomes = {asked[one]: one.result() for one in as_completed(asked)}
    if any(one.is_due for one in outcomes.values()):
        warehouse.publish_appended(WATCH_TABLES)
    return [outcomes[organization.id] for organization in chosen]


def look_at_minutes(
    settings: Settings, warehouse: Warehouse, make_client: MakeClient, organization: Organization, hour: dt.datetime
) -> list[Amount]:
    """Return what products and models cost minute by minute of one hour; one request, out of turn but counted.

    Raises ApiError, InvalidPullError and WarehouseError.
    """
    return _Looking(settings, warehouse, make_client, organization, None).minutes(hour)


def turns_of(settings: Settings, organization: Organization) -> Turns:
    """Return the turns of one organisation."""
    return Turns(organization, dt.timedelta(hours=settings.watch.hours))


class _Looking:
    """One turn of one organisation."""

    def __init__(
        self,
        settings: Settings,
        warehouse: Warehouse,
        make_client: MakeClient,
        organization: Organization,
        run_id: str | None,
    ) -> None:
        self._organization = organization
        self._warehouse = warehouse
        self._turns = turns_of(settings, organization)
        limit = AllowedRequests(self._turns, organization.base_url, settings.polling.requests_per_minute)
        self._ended = threading.Event()
        self._client = make_client(organization, limit, self._wait)
        self._look = Look(organization.id, utc_now(), run_id, activity_date=utc_now().date())
        self._oldest = max(settings.first_day(organization.id), first_available_day(self._look.activity_date))
        self._stands: Standing | None = None

    def look(self) -> Outcome:
        """Look, if it is the organisation's turn."""
        if not self._turns.begin():
            return Outcome(self._organization.id, self._turns.next_at(), is_due=False)
        alarm = threading.Timer(_LONGEST_LOOK, self._stop)
        alarm.daemon = True
        alarm.start()
        try:
            return self._see()
        except errors.WarehouseError:
            raise
        except errors.OnelensError as error:
            self._turns.failed()
            with self._warehouse.writer() as connection:
                record_failure(connection, self._look, error)
            return Outcome(self._organization.id, self._turns.next_at(), error=error)
        finally:
            alarm.cancel()
            self._stop()

    def minutes(self, hour: dt.datetime) -> list[Amount]:
        """Ask for the minutes of one hour, and keep the answer."""
        self._turns.aside()
        self._look.activity_date = hour.date()
        answers = list(self._answers(questions.minutes_of(hour)))
        self._look.data_refreshed_at = answers[0].page.data_refreshed_at
        with self._warehouse.writer() as connection:
            append_answers(connection, self._look, answers, status="aside")
        return [amount for answer in answers for amount in answer.amounts]

    def _see(self) -> Outcome:
        total = self._total()
        self._look.data_refreshed_at = total[0].page.data_refreshed_at
        if self._look.data_refreshed_at:  # just after midnight, the newest data are still of the day before
            self._look.activity_date = (self._look.data_refreshed_at - dt.timedelta(microseconds=1)).date()
        further = self._answers(questions.users_of(self._look.activity_date))
        self._keep([*total, next(further)])
        self._turns.found(is_above=bool(self._stands and self._stands.is_above))
        try:
            self._see_more(further)
        except errors.WarehouseError:
            raise
        except AllowanceUsedError as error:
            _log.info("%s", error)
        except errors.OnelensError as error:  # what was seen stays; the next look asks for the rest
            _log.warning("%s", error)
        return Outcome(self._organization.id, self._turns.next_at(), standing=self._stands)

    def _total(self) -> list[Answer]:
        try:
            return list(self._answers(questions.total_by_hour(self._look.activity_date, self._oldest)))
        except errors.TooEarlyError:  # an organisation that began this week
            self._oldest = self._look.activity_date
            return list(self._answers(questions.total_by_hour(self._look.activity_date, self._oldest)))

    def _see_more(self, further: Iterator[Answer]) -> None:
        """Ask what is still worth a request: whose hours, who else, and when which product and model cost how much."""
        day = self._look.activity_date
        if self._stands and self._stands.runaways:
            named = tuple(one.user_id for one in self._stands.runaways[:_MOST_NAMED])
            self._keep(list(self._answers(questions.hours_of_users(day, named))))
        if self._stands and self._stands.is_above:
            for answer in further:
                self._keep([answer])
        self._keep(list(self._answers(questions.hours_of(day, self._oldest))))

    def _keep(self, answers: list[Answer]) -> None:
        with self._warehouse.writer() as connection:
            append_answers(connection, self._look, answers)
            self._stands = standing(connection, self._organization.id)

    def _answers(self, question: Question) -> Iterator[Answer]:
        """Yield the pages of an answer with their rows; a request that failed on its way is sent once more."""
        where = f"{self._organization.id}: {question.endpoint.name} {question.window} ({question.query.name})"
        pages = self._client.pages(question.endpoint, question.query, question.window)
        number = 0
        while True:
            try:
                page = next(pages, None)
            except _AGAIN as error:
                if number:
                    raise
                _log.info("%s - asked once more", error)
                self._wait(_BEFORE_ANOTHER)
                pages = self._client.pages(question.endpoint, question.query, question.window)
                page = next(pages, None)
            if page is None:
                return
            number += 1
            yield Answer(
                question.query.name,
                number,
                is_last=_is_last(page),
                page=page,
                amounts=questions.read_amounts(question, page, where=where),
            )

    def _wait(self, seconds: float) -> None:
        if seconds > _LONGEST_WAIT:
            raise errors.RateLimitedError(
                f"the next request could leave in {seconds / 60:.0f} minutes only; the next look tries again",
                where=self._organization.id,
            )
        self._ended.wait(seconds)

    def _stop(self) -> None:
        self._ended.set()
        self._client.stop()


class _End(msgspec.Struct):
    has_more: bool | None = None
    next_page: str | None = None


def _is_last(page: Page) -> bool:
    end = msgspec.json.decode(f"{page.head}[]{page.tail}", type=_End)
    return end.has_more is False or not end.next_page
