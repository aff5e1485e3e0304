"""The newest complete pull of each day. The ledger, not the scheduler's partition status, knows what is there.

What is here: which days are held, since when, and from which day on they are expected.
What to add here: another question about what is held. Reads only.
What must not go here: what to do about it (`due.py`), how it is told to people (`status.py`), anything of Dagster.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onelens_claude.api.endpoints import ENDPOINTS, FIRST_DAY, Endpoint, first_available_day
from onelens_claude.clock import naive_utc
from onelens_claude.errors import TooEarlyError
from onelens_claude.warehouse.raw_tables import pull_days

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb


@dataclass(frozen=True, slots=True)
class HeldDay:
    """The newest complete pull that covers a day."""

    fetched_at: dt.datetime
    data_refreshed_at: dt.datetime | None
    """Both naive UTC, as stored."""

    def is_complete(self, day: dt.date) -> bool:
        """Tell whether the answer reached the day's end."""
        end = dt.datetime.combine(day, dt.time()) + dt.timedelta(days=1)
        if self.data_refreshed_at is None:  # engagement days are whole when they appear; older reports do not say
            return self.fetched_at >= end
        return self.data_refreshed_at >= end


def current_days(pulls: str = "claude_raw.pulls") -> str:
    """Return SQL of the newest complete pull of each day: the ledger's columns and `activity_date`."""
    return f"""
        select *
        from ({pull_days(pulls)})
        qualify row_number() over (
            partition by organization_id, endpoint, activity_date order by pull_sequence desc
        ) = 1"""


def held_days(
    connection: duckdb.DuckDBPyConnection, organization_id: str, endpoint: Endpoint, first: dt.date, last: dt.date
) -> dict[dt.date, HeldDay]:
    """Return the newest complete pull of each day from `first` to `last` (inclusive) that has one."""
    rows = connection.execute(
        f"""select activity_date, fetched_at, data_refreshed_at
        from ({current_days()})
        where organization_id = $organization_id and endpoint = $endpoint
            and activity_date between $first and $last""",
        {"organization_id": organization_id, "endpoint": endpoint.name, "first": first, "last": last},
    ).fetchall()
    return {day: HeldDay(fetched_at, data_refreshed_at) for day, fetched_at, data_refreshed_at in rows}


def first_expected_day(
    connection: duckdb.DuckDBPyConnection, organization_id: str, endpoint: Endpoint
) -> dt.date | None:
    """Return the oldest day anyone ever asked the organisation for; null when it was never asked.

    The nine belong together, so that a backfill that was killed between two of them leaves gaps in all that were to
    come. An optional endpoint begins when it is switched on.
    """
    together = [endpoint] if endpoint.is_optional else [one for one in ENDPOINTS.values() if not one.is_optional]
    row = connection.execute(
        "select min(window_start) from claude_raw.pulls where organization_id = ? and list_contains(?, endpoint)",
        [organization_id, [one.name for one in together]],
    ).fetchone()
    return row[0] if row else None


def earliest_available_day(
    connection: duckdb.DuckDBPyConnection, organization_id: str, endpoint: Endpoint
) -> dt.date | None:
    """Return the oldest day the API has by its newest word on it; null where it never refused a day as too early."""
    row = connection.execute(
        "select arg_max(window_end, pull_sequence) from claude_raw.pulls "
        "where organization_id = ? and endpoint = ? and status = 'failed' and error_type = ?",
        [organization_id, endpoint.name, TooEarlyError.error_type],
    ).fetchone()
    return row[0] if row else None


def oldest_askable_day(
    connection: duckdb.DuckDBPyConnection,
    organization_id: str,
    endpoint: Endpoint,
    now: dt.datetime,
    first_wanted: dt.date,
) -> dt.date:
    """Return the oldest day that the API may have and the settings want."""
    earliest = earliest_available_day(connection, organization_id, endpoint) or FIRST_DAY
    return max(first_available_day(now.date()), first_wanted, earliest)


def not_pulled_since(
    connection: duckdb.DuckDBPyConnection,
    organization_id: str,
    endpoint: Endpoint,
    days: Sequence[dt.date],
    since: dt.datetime,
) -> list[dt.date]:
    """Return which of `days` have no complete pull that was fetched at `since` or later."""
    if not days:
        return []
    held = held_days(connection, organization_id, endpoint, min(days), max(days))
    return [day for day in days if day not in held or held[day].fetched_at < naive_utc(since)]
