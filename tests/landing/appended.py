"""Answers written by hand, and how the tests of appending append them.

What belongs here: rows, pages and refusals that several modules of this room need. What does not: fixtures
(`conftest.py`) and tests.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from onelens_claude.api.windows import Window
from onelens_claude.errors import InvalidPullError
from onelens_claude.landing.appending import append_pulls
from onelens_claude.landing.fetching import FetchedPull

if TYPE_CHECKING:
    from onelens_claude.landing import appending

FETCHED_AT = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
WINDOW = Window(dt.date(2026, 11, 1), dt.date(2026, 11, 4))
Spool = Callable[..., FetchedPull]


def cost(amount: Any = "100.5", day: str = "2026-11-01", **fields: Any) -> dict[str, Any]:
    after = dt.date.fromisoformat(day) + dt.timedelta(days=1)
    return {
        "starting_at": f"{day}T00:00:00Z",
        "ending_at": f"{after}T00:00:00Z",
        "actor": {"type": "user_actor", "user_id": "user_1", "email_address": "a@example.com", "name": "A", "deleted": False},
        "product": "chat",
        "model": "claude-opus-4-6",
        "cost_type": "tokens",
        "token_type": "output_tokens",
        "amount": amount,
        "list_amount": "200",
        "currency": "USD",
        **fields,
    }  # fmt: skip


def costs(first: int, count: int) -> list[dict[str, Any]]:
    """Return so many rows, each of another user."""
    return [cost(actor={"user_id": f"user_{n}", "name": "A"}) for n in range(first, first + count)]


def dense(rows: list[dict[str, Any]]) -> list[bytes]:
    return [json.dumps(row, separators=(",", ":")).encode() for row in rows]


def usage(**fields: Any) -> dict[str, Any]:
    row = cost()
    for name in ("cost_type", "token_type", "amount", "list_amount", "currency"):
        del row[name]
    return row | {"output_tokens": 7, "cache_creation": {"ephemeral_5m_input_tokens": 3}, "requests": 2} | fields


def page(*rows: Any, **envelope: Any) -> dict[str, Any]:
    return {"data": list(rows), "has_more": False, "next_page": None, **envelope}


def raw(text: str, old: str = '"amount": "100.5"') -> bytes:
    """Return a page of one cost row with a piece of its text replaced."""
    body = json.dumps(page(cost()))
    assert old in body
    return body.replace(old, text).encode()


def append(connection: Any, *pulls: FetchedPull) -> list[appending.AppendedPull]:
    return append_pulls(connection, pulls, run_id="run")


def counts(connection: Any) -> tuple[int, ...]:
    return tuple(
        connection.execute(f"select count(*) from claude_raw.{table}").fetchone()[0]
        for table in ("pulls", "user_cost_report", "user_cost_report_rows")
    )


def refusal(connection: Any, *pulls: FetchedPull) -> str:
    before = counts(connection)
    with pytest.raises(InvalidPullError) as refused:
        append(connection, *pulls)
    assert counts(connection) == before
    assert str(pulls[0].folder.parent) not in str(refused.value)
    return str(refused.value)
