"""A ledger in memory, and rows for it."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import TYPE_CHECKING

import duckdb
import pytest

from onelens_claude.warehouse.raw_tables import create_raw_tables

from .pulls import day, moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as memory:
        create_raw_tables(memory)
        yield memory


@pytest.fixture
def pulled(connection: duckdb.DuckDBPyConnection) -> Callable[..., str]:
    """Leave a ledger row; `last` is inclusive."""
    numbers = itertools.count(1)

    def add(
        endpoint: str,
        first: str,
        last: str,
        fetched_at: str,
        *,
        refreshed_at: str | None = "same",
        status: str = "complete",
        organization: str = "acme",
    ) -> str:
        number = next(numbers)
        stamp = moment(fetched_at) if refreshed_at == "same" else refreshed_at and moment(refreshed_at)
        connection.execute(
            "insert into claude_raw.pulls (pull_sequence, pull_id, organization_id, endpoint, window_start, window_end, status, fetched_at, "
            "data_refreshed_at, page_count, row_count, byte_count) values (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 1, 1)",
            [
                number,
                f"pull {number}",
                organization,
                endpoint,
                day(first),
                day(last) + dt.timedelta(days=1),
                status,
                moment(fetched_at),
                stamp,
            ],
        )
        return f"pull {number}"

    return add
