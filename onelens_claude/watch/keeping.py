"""What is kept of a look: every page as it came, its rows, and how the day stands after it.

A look has tables of its own: it is no pull, and the ledger, and with it `status`, what is due and every fact, do not
know it.

What is here: appending, and reading what the models make of it. What to add here: another figure of how the day stands.
What must not go here: the rule that tells a runaway and the band of a day, which are models (`dbt_project`).
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb

from onelens_claude.clock import naive_utc
from onelens_claude.errors import OnelensError, WrongOrganizationError
from onelens_claude.warehouse.connections import transaction

if TYPE_CHECKING:
    import datetime as dt

    from onelens_claude.api.client import Page
    from onelens_claude.watch.questions import Amount


@dataclass(frozen=True, slots=True)
class Answer:
    """One page of an answer and its rows."""

    query: str
    page_number: int
    is_last: bool
    page: Page
    amounts: list[Amount]


@dataclass(slots=True)
class Look:
    """One look at an organisation's running day."""

    organization_id: str
    looked_at: dt.datetime
    run_id: str | None
    activity_date: dt.date
    data_refreshed_at: dt.datetime | None = None
    look_id: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True, slots=True)
class Runaway:
    """A person who spent more today than on any usual whole day."""

    user_id: str
    amount_usd: Decimal
    expected_usd: Decimal
    incident_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How an organisation's running day stands after its newest look."""

    organization_id: str
    activity_date: dt.date
    data_refreshed_at: dt.datetime | None
    """Naive UTC, as stored."""
    amount_usd: Decimal
    band_low_usd: Decimal | None
    band_high_usd: Decimal | None
    band_status: str
    runaways: tuple[Runaway, ...] = ()

    @property
    def is_above(self) -> bool:
        """Whether the day has cost more by now than such a day ever does."""
        return self.band_status == "above"

    def in_words(self) -> str:
        """Return the day so far, up to when, its band and who runs away, in one line."""
        reached = f", up to {self.data_refreshed_at:%Y-%m-%d %H:%M} UTC" if self.data_refreshed_at else ""
        band = (
            f"{self.band_status} the band of ${self.band_low_usd:,.2f} to ${self.band_high_usd:,.2f}"
            if self.band_low_usd is not None
            else "no band yet"
        )
        number = len(self.runaways)
        people = "no runaways" if not number else "1 runaway" if number == 1 else f"{number} runaways"
        return f"${self.amount_usd:,.2f} on {self.activity_date}{reached}; {band}; {people}"


def append_answers(
    connection: duckdb.DuckDBPyConnection, look: Look, answers: list[Answer], *, status: str = "complete"
) -> None:
    """Append pages and rows, with the first of a look the look itself: all of them or none.

    With the status `aside`, no table of the running day is made of them.
    """
    with transaction(connection):
        known = connection.execute("select 1 from claude_raw.watch_looks where look_id = ?", [look.look_id]).fetchone()
        if not known:
            _refuse_another_organization(connection, look, answers)
            _insert_look(connection, look, status)
        for answer in answers:
            _insert_answer(connection, look, answer)


def record_failure(connection: duckdb.DuckDBPyConnection, look: Look, error: OnelensError) -> None:
    """Leave a row that says why nothing was seen."""
    with transaction(connection):
        _insert_look(connection, look, "failed", error)


@dataclass(frozen=True, slots=True)
class LastLook:
    """An organisation's newest look."""

    looked_at: dt.datetime
    """Naive UTC, as stored."""
    error_type: str | None
    error_message: str | None


def last_look(connection: duckdb.DuckDBPyConnection, organization_id: str) -> LastLook | None:
    """Return the newest look, or null where nobody looked yet."""
    try:
        row = connection.execute(
            """select looked_at, error_type, error_message
            from claude_raw.watch_looks where organization_id = ? order by look_sequence desc limit 1""",
            [organization_id],
        ).fetchone()
    except duckdb.CatalogException:  # a copy of an earlier version
        return None
    return LastLook(*row) if row else None


def standing(connection: duckdb.DuckDBPyConnection, organization_id: str) -> Standing | None:
    """Return how the running day stands; null without a look, and before the marts were built for the first time."""
    try:
        row = connection.execute(
            """select activity_date, data_refreshed_at, amount_usd, band_low_usd, band_high_usd, band_status
            from marts.organization_spend_today where organization_id = ?""",
            [organization_id],
        ).fetchone()
        runaways = connection.execute(
            """select scope_value, actual, expected, incident_id, reason
            from marts.runaways_today where organization_id = ? order by impact_usd desc, scope_value""",
            [organization_id],
        ).fetchall()
    except duckdb.CatalogException:
        return None
    if not row:
        return None
    day, refreshed_at, amount, low, high, status = row
    found = tuple(Runaway(*one) for one in runaways)
    return Standing(organization_id, day, refreshed_at, amount, low, high, status, found)


def _insert_look(
    connection: duckdb.DuckDBPyConnection, look: Look, status: str, error: OnelensError | None = None
) -> None:
    connection.execute(
        """insert into claude_raw.watch_looks
        select coalesce(max(look_sequence), 0) + 1, $look_id, $organization_id, $activity_date, $status, $looked_at,
            $data_refreshed_at, $error_type, $error_message, $request_id, $run_id
        from claude_raw.watch_looks""",
        {
            "look_id": look.look_id,
            "organization_id": look.organization_id,
            "activity_date": look.activity_date,
            "status": status,
            "looked_at": naive_utc(look.looked_at),
            "data_refreshed_at": look.data_refreshed_at and naive_utc(look.data_refreshed_at),
            "error_type": error and error.error_type,
            "error_message": error and str(error),
            "request_id": getattr(error, "request_id", None),
            "run_id": look.run_id,
        },
    )


def _insert_answer(connection: duckdb.DuckDBPyConnection, look: Look, answer: Answer) -> None:
    page = answer.page
    connection.execute(
        "insert into claude_raw.watch_pages values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            look.look_id,
            look.organization_id,
            answer.query,
            answer.page_number,
            answer.is_last,
            page.request_path,
            page.request_id,
            naive_utc(page.fetched_at),
            page.data_refreshed_at and naive_utc(page.data_refreshed_at),
            page.body.decode(),
        ],
    )
    columns: dict[str, list[Any]] = {name: [_plain(getattr(one, name)) for one in answer.amounts] for name in _COLUMNS}
    values = ", ".join(f"unnest(${name}::{kind}[])" for name, kind in _COLUMNS.items())
    if answer.amounts:
        connection.execute(
            f"insert into claude_raw.watch_amounts select $look_id, $organization_id, $query, $page_number, {values}",
            {
                "look_id": look.look_id,
                "organization_id": look.organization_id,
                "query": answer.query,
                "page_number": answer.page_number,
                **columns,
            },
        )


def _plain(value: Any) -> Any:
    return f"{value:f}" if isinstance(value, Decimal) else value  # DuckDB would make doubles of decimals in a list


_COLUMNS = {
    "starting_at": "timestamp",
    "user_id": "varchar",
    "email": "varchar",
    "name": "varchar",
    "is_deleted": "boolean",
    "product": "varchar",
    "model": "varchar",
    "amount": "decimal(38, 12)",
    "list_amount": "decimal(38, 12)",
}


def _refuse_another_organization(connection: duckdb.DuckDBPyConnection, look: Look, answers: list[Answer]) -> None:
    """Raise WrongOrganizationError where the key answers for another Claude organisation than was pulled."""
    row = connection.execute(
        """select arg_max(api_organization_id, pull_sequence) from claude_raw.pulls
        where organization_id = ? and status = 'complete' and api_organization_id is not null""",
        [look.organization_id],
    ).fetchone()
    for answer in answers:
        told = answer.page.api_organization_id
        if row and row[0] and told and told != row[0]:
            raise WrongOrganizationError(
                f"{look.organization_id}: the key answers for organisation {told}, but its days came from {row[0]}; "
                "give each Claude organisation its own entry in the settings",
                request_id=answer.page.request_id,
            )
