"""What a look asks about the running day, and how the rows of an answer are read.

An answer here has a few hundred rows, so they are read as Python objects; an amount becomes a Decimal from its text.

What is here: the questions, and what a row must be to be believed. What to add here: another question, a check.
What must not go here: how many are asked (`looking.py`) and what is kept of them (`keeping.py`).
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from onelens_claude.api.endpoints import ENDPOINTS, Endpoint, Query
from onelens_claude.api.json_text import readable_json
from onelens_claude.api.row_types import ERASED_USER
from onelens_claude.api.windows import Window
from onelens_claude.clock import naive_utc
from onelens_claude.errors import InvalidRowError
from onelens_claude.landing.parsing import AMOUNT_PATTERN
from onelens_claude.visible import visible

if TYPE_CHECKING:
    from onelens_claude.api.client import Page

TOTAL_DAYS = 7
"""The total is asked hour by hour: a week is the most that one page holds."""
HOURS_DAYS = 3
"""By product and model: so far back an hour can still change much."""
_HOURS_OF_A_PAGE = 168
_BY = ("product", "model")


@dataclass(frozen=True, slots=True)
class Question:
    """One query over one window."""

    endpoint: Endpoint
    query: Query
    window: Window


@dataclass(frozen=True, slots=True)
class Amount:
    """One row: what a time cost, of everybody or of a user, product and model."""

    starting_at: dt.datetime
    user_id: str | None
    email: str | None
    name: str | None
    is_deleted: bool | None
    product: str | None
    model: str | None
    amount: Decimal
    list_amount: Decimal | None
    """Money in cents."""


def total_by_hour(today: dt.date, oldest: dt.date) -> Question:
    """Ask what the organisation cost, hour by hour of the last week: the only answer that is the true total."""
    first = min(max(today - dt.timedelta(days=TOTAL_DAYS - 1), oldest), today)
    return Question(_HOURLY, Query("total", bucket_width="1h"), Window(first, _after(today)))


def users_of(day: dt.date) -> Question:
    """Ask what each user cost on a day, dearest first."""
    return Question(ENDPOINTS["user_cost_report"], Query("users"), Window(day, _after(day)))


def hours_of(day: dt.date, oldest: dt.date) -> Question:
    """Ask what products and models cost, hour by hour of the last days."""
    first = min(max(day - dt.timedelta(days=HOURS_DAYS - 1), oldest), day)
    return Question(_HOURLY, Query("hours", _BY, bucket_width="1h"), Window(first, _after(day)))


def hours_of_users(day: dt.date, user_ids: tuple[str, ...]) -> Question:
    """Ask what a few users' products and models cost, hour by hour of a day."""
    query = Query("user_hours", _BY, {"user_ids[]": user_ids}, bucket_width="1h")
    return Question(ENDPOINTS["user_cost_report"], query, Window(day, _after(day)))


def minutes_of(hour: dt.datetime) -> Question:
    """Ask what products and models cost, minute by minute of one hour."""
    day = hour.date()
    endpoint = replace(ENDPOINTS["cost_report"], page_size=60)
    return Question(endpoint, Query("minutes", _BY, bucket_width="1m"), Window(day, _after(day), hour.hour))


_HOURLY = replace(ENDPOINTS["cost_report"], page_size=_HOURS_OF_A_PAGE)


def _after(day: dt.date) -> dt.date:
    return day + dt.timedelta(days=1)


class _Actor(msgspec.Struct):
    user_id: str
    email_address: str | None = None
    email: str | None = None
    name: str | None = None
    deleted: bool | None = None


class _Row(msgspec.Struct):
    amount: str
    list_amount: str | None = None
    currency: str | None = "USD"
    product: str | None = None
    model: str | None = None
    starting_at: str | None = None
    actor: _Actor | None = None


class _Bucket(msgspec.Struct):
    starting_at: str
    results: list[_Row]


_decode_buckets = msgspec.json.Decoder(list[_Bucket]).decode
_decode_rows = msgspec.json.Decoder(list[_Row]).decode
_is_amount = re.compile(AMOUNT_PATTERN).fullmatch


def read_amounts(question: Question, page: Page, *, where: str) -> list[Amount]:
    """Return the rows of a page; an hour of the total that the data reach, with no row, cost nothing.

    Raises InvalidRowError for the first row that breaks the contract.
    """
    try:
        amounts = list(_read(question, page))
        named = [one for one in amounts if one.user_id != ERASED_USER]  # erased people share one id, and their keys
        keys = {(one.starting_at, one.user_id, one.product, one.model) for one in named}
        if len(keys) < len(named):
            raise ValueError("two rows have one key; adding them up would count something twice")  # noqa: TRY301
    except (ValueError, msgspec.ValidationError) as error:
        request = f" (request {page.request_id})" if page.request_id else ""
        raise InvalidRowError(f"{where}: {visible(str(error))}{request}", request_id=page.request_id) from None
    return amounts


def _read(question: Question, page: Page) -> list[Amount]:
    rows = readable_json(page.rows)
    if "actor" in question.endpoint.columns:
        return [_amount(row, row.starting_at, question) for row in _decode_rows(rows)]
    reached = page.data_refreshed_at or page.fetched_at
    found = []
    for bucket in _decode_buckets(rows):
        found += [_amount(row, bucket.starting_at, question) for row in bucket.results]
        starts = _moment(bucket.starting_at, question)
        if not question.query.group_by and not bucket.results and starts < naive_utc(reached):
            found.append(Amount(starts, None, None, None, None, None, None, Decimal(0), Decimal(0)))
    return found


def _amount(row: _Row, starting_at: str | None, question: Question) -> Amount:
    if row.currency not in {None, "USD"}:
        raise ValueError(f"amounts are in {row.currency}")
    for name, text in (("amount", row.amount), ("list_amount", row.list_amount)):
        if text is not None and not _is_amount(text):
            raise ValueError(f"{name} {text!r} is not a decimal string of at most 12 fractional digits")
    actor = row.actor
    if actor is None and "actor" in question.endpoint.columns:
        raise ValueError("a row has no actor.user_id")
    return Amount(
        starting_at=_moment(starting_at, question),
        user_id=actor.user_id if actor else None,
        email=(actor.email_address or actor.email) if actor else None,
        name=actor.name if actor else None,
        is_deleted=actor.deleted if actor else None,
        product=row.product,
        model=row.model,
        amount=Decimal(row.amount),
        list_amount=None if row.list_amount is None else Decimal(row.list_amount),
    )


def _moment(text: str | None, question: Question) -> dt.datetime:
    """Read the beginning of a row's time, which must lie within the window."""
    first, end = question.window.moments
    if text is None:
        raise ValueError("a row has no starting_at")
    moment = dt.datetime.fromisoformat(text)
    moment = naive_utc(moment) if moment.tzinfo else moment
    if not first <= moment < end:
        raise ValueError(f"a row from {text} lies outside the window")
    return moment
