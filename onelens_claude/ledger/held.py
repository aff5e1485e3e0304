"""Questions to the ledger of pulls: what each organisation holds, and which days still need a pull.

The ledger, not the scheduler's partition status, knows what is there. Reads only; imports no Dagster.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onelens_claude.api.endpoints import (
    ENDPOINTS,
    FIRST_DAY,
    Endpoint,
    Family,
    first_available_day,
    newest_possible_day,
)
from onelens_claude.clock import naive_utc, utc_now

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb

ENGAGEMENT_SETTLE_DAYS = 4
"""Engagement figures may move by a few percent for some days: each day is pulled once more after this many."""


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


def held_days(
    connection: duckdb.DuckDBPyConnection, organization_id: str, endpoint: Endpoint, first: dt.date, last: dt.date
) -> dict[dt.date, HeldDay]:
    """Return the newest complete pull of each day from `first` to `last` (inclusive) that has one."""
    rows = connection.execute(
        """select activity_date, arg_max(struct_pack(fetched_at, data_refreshed_at), (fetched_at, pull_sequence))
        from (
            select
                unnest(range(greatest(window_start, $first), least(window_end, $last + 1), interval 1 day))::date
                    as activity_date,
                fetched_at, data_refreshed_at, pull_sequence
            from claude_raw.pulls
            where organization_id = $organization_id and endpoint = $endpoint and status = 'complete'
                and window_start <= $last and window_end > $first
        )
        group by activity_date""",
        {"organization_id": organization_id, "endpoint": endpoint.name, "first": first, "last": last},
    ).fetchall()
    return {day: HeldDay(held["fetched_at"], held["data_refreshed_at"]) for day, held in rows}


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


def days_to_pull(
    connection: duckdb.DuckDBPyConnection,
    organization_id: str,
    endpoint: Endpoint,
    *,
    revision_days: int,
    days: Iterable[dt.date] | None = None,
    backfill_start: dt.date = FIRST_DAY,
    now: dt.datetime | None = None,
) -> list[dt.date]:
    """Return the days that `daily` has to pull, oldest first: new, missing, incomplete, and those to settle.

    Looked at are `days`, or everything from the oldest day ever asked for to the newest that can exist. What the API
    no longer holds, and what lies before `backfill_start`, is left as it is. A day is
    settled by one pull after its last possible change (cost: `revision_days`, engagement: 4 days).
    """
    now = now or utc_now()
    newest = newest_possible_day(now, endpoint.family)
    if days is None:
        first = first_expected_day(connection, organization_id, endpoint) or newest
        days = [first + dt.timedelta(days=n) for n in range((newest - first).days + 1)] or [newest]
    oldest = max(first_available_day(now.date()), backfill_start)
    candidates = [day for day in sorted(days) if oldest <= day <= newest]
    if not candidates:
        return []
    held = held_days(connection, organization_id, endpoint, candidates[0], candidates[-1])
    settle = dt.timedelta(days=1 + (revision_days if endpoint.family is Family.COST else ENGAGEMENT_SETTLE_DAYS))

    def is_due(day: dt.date) -> bool:
        if day not in held or not held[day].is_complete(day):
            return True
        settled_at = dt.datetime.combine(day, dt.time()) + settle
        return held[day].fetched_at < settled_at <= naive_utc(now)

    return [day for day in candidates if is_due(day)]


def overdrawn_days(
    connection: duckdb.DuckDBPyConnection, organization_id: str, days: Iterable[dt.date], dust_cents: str
) -> list[dt.date]:
    """Return the days on which the users' rows add up to more than the organisation's total, beyond `dust_cents`.

    The two answers are then of different moments; pulling the day again mends it.
    """
    wanted = sorted(set(days))
    if not wanted:
        return []
    rows = connection.execute(
        f"""with {_CURRENT_DAYS},
        totals as (
            select activity_date, sum(amount) as cents
            from claude_raw.cost_report_rows
            join (select pull_id, activity_date from current_days where endpoint = 'cost_report')
                using (pull_id, activity_date)
            where query = 'total'
            group by all
        ),
        users as (
            select activity_date, sum(amount) as cents
            from claude_raw.user_cost_report_rows
            join (select pull_id, activity_date from current_days where endpoint = 'user_cost_report')
                using (pull_id, activity_date)
            group by all
        ),
        both_held as (
            select activity_date from current_days group by activity_date having count(*) = 2
        )
        select activity_date
        from both_held
        join users using (activity_date)
        left join totals using (activity_date)
        where users.cents - coalesce(totals.cents, 0) > $dust_cents::decimal(38, 12)
        order by activity_date""",
        {"organization_id": organization_id, "days": wanted, "dust_cents": dust_cents},
    ).fetchall()
    return [row[0] for row in rows]


_CURRENT_DAYS = """current_days as (
    select endpoint, activity_date, arg_max(pull_id, (fetched_at, pull_sequence)) as pull_id
    from claude_raw.pulls
    join (select unnest($days::date[]) as activity_date)
        on window_start <= activity_date and activity_date < window_end
    where organization_id = $organization_id and status = 'complete'
        and endpoint in ('user_cost_report', 'cost_report')
    group by all
)"""


def endpoints_of(family: Family) -> list[Endpoint]:
    """Return the endpoints of one family, in the order of `endpoints.py`."""
    return [endpoint for endpoint in ENDPOINTS.values() if endpoint.family is family]
