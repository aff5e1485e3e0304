"""Which days need a pull: new, missing, incomplete, due to settle, or of answers that do not fit together.

What is here: the rules by which a day is asked for again, and their constants.
What to add here: another reason to pull a day that the ledger alone can tell.
What must not go here: what the API has to be asked for (`revisions.py`), pulling (`landing`), anything of Dagster.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from onelens_claude.api.endpoints import (
    COST_DIMENSIONS,
    FIRST_DAY,
    Endpoint,
    Family,
    newest_possible_day,
)
from onelens_claude.clock import naive_utc, utc_now
from onelens_claude.ledger.held import current_days, first_expected_day, held_days, oldest_askable_day

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb

    from onelens_claude.settings import Settings

ENGAGEMENT_SETTLE_DAYS = 4
"""Engagement figures may move by a few percent for some days: each day is pulled once more after this many."""
ROUNDING_DUST_CENTS = "0.01"
"""The API rounds each row: sums of different rows may differ by this much and still be the same amount."""


def days_to_pull(
    connection: duckdb.DuckDBPyConnection,
    organization_id: str,
    endpoint: Endpoint,
    *,
    revision_days: int,
    days: Iterable[dt.date] | None = None,
    first_wanted: dt.date = FIRST_DAY,
    now: dt.datetime | None = None,
) -> list[dt.date]:
    """Return the days that `daily` has to pull, oldest first: new, missing, incomplete, and those to settle.

    Looked at are `days`, or everything from the oldest day ever asked for to the newest that can exist. What the API
    no longer holds, and what lies before `first_wanted`, is left as it is. A day is
    settled by one pull after its last possible change (cost: `revision_days`; engagement: ENGAGEMENT_SETTLE_DAYS).
    """
    now = now or utc_now()
    newest = newest_possible_day(now, endpoint.family)
    if days is None:
        first = first_expected_day(connection, organization_id, endpoint) or newest
        days = [first + dt.timedelta(days=n) for n in range((newest - first).days + 1)] or [newest]
    oldest = oldest_askable_day(connection, organization_id, endpoint, now, first_wanted)
    candidates = [day for day in sorted(days) if oldest <= day <= newest]
    if not candidates:
        return []
    held = held_days(connection, organization_id, endpoint, candidates[0], candidates[-1])
    settle = dt.timedelta(days=1 + (revision_days if endpoint.family is Family.COST else ENGAGEMENT_SETTLE_DAYS))

    def is_due(day: dt.date) -> bool:
        if day not in held or not held[day].is_complete(day):
            return True
        if held[day].fetched_at > naive_utc(now):  # by a clock that was fast: nobody knows when, so look again
            return True
        settled_at = dt.datetime.combine(day, dt.time()) + settle
        return held[day].fetched_at < settled_at <= naive_utc(now)

    return [day for day in candidates if is_due(day)]


def due_range(connection: duckdb.DuckDBPyConnection | None, settings: Settings) -> tuple[dt.date, dt.date]:
    """Return the oldest and newest day that `daily` looks at.

    From the oldest due day of any endpoint, to the newest day of either family that can exist.
    """
    now = utc_now()
    newest = {family: newest_possible_day(now, family) for family in Family}
    first = min(newest.values())
    if connection is not None:
        for organization in settings.organizations:
            for endpoint in settings.endpoints():
                due = days_to_pull(
                    connection,
                    organization.id,
                    endpoint,
                    revision_days=settings.polling.revision_days,
                    first_wanted=settings.first_day(organization.id),
                    now=now,
                )
                first = min([first, *due[:1]])
    return first, max(newest.values())


def overdrawn_days(
    connection: duckdb.DuckDBPyConnection, organization_id: str, days: Iterable[dt.date]
) -> list[dt.date]:
    """Return the days on which the users' rows add up to more than the organisation's total, beyond rounding dust.

    The two answers are then of different moments; pulling the day again mends it. What the organisation's report itself
    takes back (a group below zero, a total below its groups) is a credit of no user: no reason to ask again.
    """
    wanted = sorted(set(days))
    if not wanted:
        return []
    dimensions = ", ".join(COST_DIMENSIONS)
    rows = connection.execute(
        f"""with current_days as (
            select endpoint, activity_date, pull_id
            from ({current_days()})
            where organization_id = $organization_id and endpoint in ('user_cost_report', 'cost_report')
                and list_contains($days, activity_date)
        ),
        report as (
            select activity_date, query, {dimensions}, amount
            from claude_raw.cost_report_rows
            join current_days using (pull_id, activity_date)
            where endpoint = 'cost_report'
        ),
        user_rows as (
            select activity_date, {dimensions}, amount
            from claude_raw.user_cost_report_rows
            join current_days using (pull_id, activity_date)
            where endpoint = 'user_cost_report'
        ),
        totals as (
            select activity_date, sum(amount) as cents from report where query = 'total' group by activity_date
        ),
        users as (
            select activity_date, sum(amount) as cents from user_rows group by activity_date
        ),
        -- the pieces of a capped answer may list a group twice
        report_groups as (
            select activity_date, split_part(query, ':', 1) as grouping, {dimensions}, max(amount) as cents
            from report
            where query <> 'total'
            group by activity_date, grouping, {dimensions}
        ),
        credits as (
            select
                activity_date,
                sum(least(report_groups.cents, 0))
                + coalesce(least(any_value(totals.cents) - sum(report_groups.cents), 0), 0) as cents
            from report_groups
            left join totals using (activity_date)
            group by activity_date, grouping
        ),
        users_and_groups as (
            select activity_date, {dimensions}, amount as spent, null as reported from user_rows
            union all
            select activity_date, {dimensions}, null, cents from report_groups where grouping = 'detail'
        ),
        overdrawn_groups as (
            select activity_date, sum(spent) - sum(reported) as cents
            from users_and_groups
            group by activity_date, {dimensions}
            having sum(reported) >= 0 and sum(spent) > sum(reported)
        ),
        both_held as (
            select activity_date from current_days group by activity_date having count(*) = 2
        ),
        compared as (
            select
                activity_date,
                users.cents - coalesce(totals.cents, 0) as overdraft,
                coalesce((select min(cents) from credits where activity_date = both_held.activity_date), 0) as credit,
                coalesce(
                    (select sum(cents) from overdrawn_groups where activity_date = both_held.activity_date), 0
                ) as overdraft_of_groups
            from both_held
            join users using (activity_date)
            left join totals using (activity_date)
        )
        select activity_date
        from compared
        where overdraft > $dust_cents::decimal(38, 12)
            and greatest(overdraft + credit, overdraft_of_groups) > $dust_cents::decimal(38, 12)
        order by activity_date""",
        {"organization_id": organization_id, "days": wanted, "dust_cents": ROUNDING_DUST_CENTS},
    ).fetchall()
    return [row[0] for row in rows]
