"""A warehouse with raw tables as landing leaves them, filled by hand: pulls, their rows, and a memory of both.

What belongs here: rows as the API gives them. What does not: what the models make of them (`oracle.py`).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING, Any

import duckdb

from onelens_claude.api.endpoints import COST_DIMENSIONS, ENDPOINTS, USAGE_DIMENSIONS
from onelens_claude.warehouse.raw_tables import KEYS, create_raw_tables, row_columns, source_of

if TYPE_CHECKING:
    from pathlib import Path

DAY = dt.timedelta(days=1)
D = dt.date(2026, 3, 30)
"""The first day of every scenario; the month ends on the next."""
NOT_SAID = object()


def at(day: dt.date, *, days_later: int = 0, hour: int = 0) -> dt.datetime:
    """Return a moment `days_later` after the start of `day`, UTC without a zone, as the ledger has it."""
    return dt.datetime.combine(day, dt.time(hour)) + dt.timedelta(days=days_later)


def actor(user_id: str | None, **told: Any) -> dict[str, Any]:
    nobody = dict.fromkeys(("email_address", "email", "name", "deleted"))
    return {"user_id": user_id, **nobody, **told}


def cost(
    amount: str, list_amount: str | None = "same", *, user: Any = None, query: str = "detail", **fields: Any
) -> dict[str, Any]:
    """Return a row of a cost report; `user` is an id or a whole actor, and absent for a bucket's group."""
    dimensions = dict.fromkeys(COST_DIMENSIONS)
    if query != "total":
        dimensions |= {
            "product": "chat",
            "model": "claude-opus-4-6",
            "cost_type": "tokens",
            "token_type": "output_tokens",
        }
    row = {
        "query": query,
        **dimensions,
        "amount": amount,
        "list_amount": amount if list_amount == "same" else list_amount,
    }
    if user is not None:
        row["actor"] = actor(user) if isinstance(user, str) else user
    return row | {"currency": "USD"} | fields


def usage(output_tokens: int | None, *, user: Any = None, query: str = "detail", **fields: Any) -> dict[str, Any]:
    dimensions = dict.fromkeys(USAGE_DIMENSIONS)
    if query != "total":
        dimensions |= {"product": "chat", "model": "claude-opus-4-6"}
    row = {
        "query": query,
        **dimensions,
        "uncached_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output_tokens,
        "server_tool_use": {"web_search_requests": 0},
        "requests": None,
    }
    if user is not None:
        row["actor"] = actor(user) if isinstance(user, str) else user
    return row | fields


def activity(user_id: str, **counts: int) -> dict[str, Any]:
    """Return a row of `users`: `chat=3` is three messages in chat; whatever is not given is not told."""
    row: dict[str, Any] = {
        name: _nothing(duckdb.sqltype(kind)) if kind != "JSON" else None
        for name, kind in ENDPOINTS["users"].columns.items()
    }
    row["user"]["id"] = user_id
    for surface, count in counts.items():
        row[f"{surface}_metrics"]["message_count"] = count
    return row


def _nothing(kind: Any) -> Any:
    return {name: _nothing(child) for name, child in kind.children} if kind.id == "struct" else None


@dataclasses.dataclass
class Pull:
    sequence: int
    pull_id: str
    organization_id: str
    endpoint: str
    start: dt.date
    end: dt.date
    status: str
    fetched_at: dt.datetime
    data_refreshed_at: dt.datetime | None
    api_organization_id: str | None
    rows: list[dict[str, Any]]


class RawWarehouse:
    """A DuckDB file with the raw tables; `pulls` remembers everything in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pulls: list[Pull] = []
        self.organizations: dict[str, dict[str, Any]] = {}
        self.budgets: list[tuple[Any, ...]] = []
        """Rows of `claude_raw.budgets`."""
        self.team_map: list[tuple[Any, ...]] = []
        """Rows of `claude_raw.team_map`, without their numbers."""
        with duckdb.connect(str(path)) as connection:
            create_raw_tables(connection)

    def organization(self, organization_id: str, *, plan: str = "usage", revision_days: int = 30) -> str:
        self.organizations[organization_id] = {"plan": plan, "revision_days": revision_days}
        return organization_id

    def pull(
        self,
        organization_id: str,
        endpoint: str,
        start: dt.date,
        rows: list[dict[str, Any]] | None = None,
        *,
        days: int = 1,
        fetched_at: dt.datetime | None = None,
        data_refreshed_at: Any = NOT_SAID,
        status: str = "complete",
        api_organization_id: str | None = None,
    ) -> Pull:
        """Remember one pull; rows are of its first day unless they say `activity_date`. Fetched two days later by default."""
        fetched = fetched_at or at(start, days_later=days + 1)
        pull = Pull(
            sequence=len(self.pulls) + 1,
            pull_id=f"pull-{len(self.pulls) + 1:05d}",
            organization_id=organization_id,
            endpoint=endpoint,
            start=start,
            end=start + days * DAY,
            status=status,
            fetched_at=fetched,
            data_refreshed_at=fetched if data_refreshed_at is NOT_SAID else data_refreshed_at,
            api_organization_id=api_organization_id,
            rows=[{"activity_date": start} | row for row in rows or []],
        )
        self.pulls.append(pull)
        return pull

    def costs(self, organization_id: str, day: dt.date, users: list[Any], report: list[Any], **pull: Any) -> None:
        """Pull both cost endpoints of one day."""
        self.pull(organization_id, "user_cost_report", day, users, **pull)
        self.pull(organization_id, "cost_report", day, report, **pull)

    def write(self) -> None:
        """Put everything remembered since the last call into the file."""
        with duckdb.connect(str(self.path)) as connection:
            written = connection.execute("select coalesce(max(pull_sequence), 0) from claude_raw.pulls").fetchone()[0]
            connection.execute("delete from claude_raw.organizations")
            for organization_id, settings in self.organizations.items():
                connection.execute(
                    "insert into claude_raw.organizations values (?, ?, ?, ?, timestamp '2026-01-01')",
                    [organization_id, organization_id.title(), settings["plan"], settings["revision_days"]],
                )
            connection.execute("delete from claude_raw.budgets")
            for budget in self.budgets:
                connection.execute("insert into claude_raw.budgets values (?, ?, ?, ?, ?, ?, ?, ?, null)", budget)
            connection.execute("delete from claude_raw.team_map")
            for number, row in enumerate(self.team_map, start=1):
                connection.execute("insert into claude_raw.team_map values (?, ?, ?, ?, ?, ?, ?, ?)", [number, *row])
            connection.execute("begin")
            insert_pulls(connection, self.pulls[written:])
            connection.execute("commit")


def stored(row: dict[str, Any], column: str) -> Any:
    """Return what landing would store in `column` of an API row."""
    value: Any = row
    for name in source_of(column):
        value = value and value.get(name)
    return value


def insert_pulls(connection: duckdb.DuckDBPyConnection, pulls: list[Pull]) -> None:
    """Insert ledger rows and parsed rows of `pulls`; a failed one has no rows."""
    if not pulls:
        return
    connection.executemany(
        """insert into claude_raw.pulls (
            pull_sequence, pull_id, organization_id, endpoint, window_start, window_end, status, fetched_at,
            data_refreshed_at, api_organization_id, page_count, row_count, byte_count
        ) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, 1)""",
        [
            [
                pull.sequence, pull.pull_id, pull.organization_id, pull.endpoint, pull.start, pull.end, pull.status,
                pull.fetched_at, pull.data_refreshed_at, pull.api_organization_id, len(pull.rows),
            ]
            for pull in pulls
        ],
    )  # fmt: skip
    by_endpoint: dict[str, list[list[Any]]] = {}
    for pull in pulls:
        if pull.status != "complete":
            continue
        endpoint = ENDPOINTS[pull.endpoint]
        columns = [column for column in row_columns(endpoint) if column not in KEYS]
        for row in pull.rows:
            unknown = set(row) - set(endpoint.columns) - {"activity_date", "query"}
            assert not unknown, f"{pull.endpoint} has no {unknown}"
            by_endpoint.setdefault(pull.endpoint, []).append(
                [pull.pull_id, pull.organization_id, 1, row.get("query", "total"), row["activity_date"]]
                + [stored(row, column) for column in columns]
            )
    for name, values in by_endpoint.items():
        places = ", ".join("?" * len(values[0]))
        connection.executemany(f"insert into claude_raw.{name}_rows values ({places})", values)
