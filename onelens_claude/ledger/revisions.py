"""Find the stored days of cost and usage that the API tells otherwise now.

Cost and usage of a day may change for 30 days. Pulling every user's rows of 30 days each day would cost thousands of
requests; instead the organisation's totals and its top groups are asked for (per 31 days: two requests for cost, two
for usage) and compared with what is stored. Changes that cancel out in all of these are found by asking one older
week a day, in rotation, for each user's total of that week (a request per thousand users), and only where one differs
day by day. Reads only; imports no Dagster.
"""

from __future__ import annotations

import datetime as dt
import logging
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from onelens_claude.api.endpoints import (
    COST_DIMENSIONS,
    ENDPOINTS,
    USAGE_DIMENSIONS,
    Endpoint,
    Family,
    Query,
    newest_possible_day,
)
from onelens_claude.api.windows import widest_windows, windows
from onelens_claude.clock import utc_now
from onelens_claude.errors import ApiError, DamagedCopyError, StoppedError
from onelens_claude.folders import plain_folder
from onelens_claude.landing.appending import append_pulls
from onelens_claude.landing.fetching import PullRequest, fetch
from onelens_claude.ledger.due import ROUNDING_DUST_CENTS
from onelens_claude.ledger.held import current_days, held_days
from onelens_claude.warehouse.connections import attach
from onelens_claude.warehouse.files import FILE_ERRORS
from onelens_claude.warehouse.raw_tables import create_raw_tables, is_current

if TYPE_CHECKING:
    from collections.abc import Iterable

    from onelens_claude.api.client import AnalyticsClient
    from onelens_claude.api.windows import Window
    from onelens_claude.warehouse.files import Warehouse

_log = logging.getLogger(__name__)
_WEEK = 7
_USERS_WEEK = Query("users_week", bucket_width=None)
_USERS_DAYS = Query("users_days")
_LONGEST_RUN = 31
"""Days."""

_COMPARED = {
    "cost_report": (*COST_DIMENSIONS, "amount", "list_amount"),
    "usage_report": (
        *USAGE_DIMENSIONS,
        "uncached_input_tokens",
        "cache_read_input_tokens",
        "cache_creation",
        "output_tokens",
        "server_tool_use",
        "requests",
    ),
}


def revised_windows(
    warehouse: Warehouse, client: AnalyticsClient, *, revision_days: int, seconds: float | None = None
) -> list[Window]:
    """Return the spans of days of the client's organisation that changed since they were pulled.

    None where the serving copy cannot be read: the next publication makes it anew, and the day after finds them.
    Raises as `revised_days`; StoppedError where it takes longer than `seconds`.
    """
    if not warehouse.serving_path.exists():
        return []
    alarm = threading.Timer(seconds, client.stop) if seconds is not None else None
    try:
        if alarm:
            alarm.start()
        days = revised_days(warehouse, client, revision_days=revision_days)
    except (DamagedCopyError, *FILE_ERRORS) as error:
        _log.warning("Revised days cannot be looked for in %s: %s", warehouse.serving_path, error)
        return []
    finally:
        if alarm:
            alarm.cancel()
    return windows(days, _LONGEST_RUN)


def revised_days(
    warehouse: Warehouse, client: AnalyticsClient, *, revision_days: int, deep_check: bool = True
) -> list[dt.date]:
    """Return the held days, oldest first, whose cost or usage the API tells otherwise than the serving copy.

    Raises the client's ApiErrors, StoppedError and WarehouseError; where only the deep check fails, what the probes
    found still counts.
    """
    newest = newest_possible_day(utc_now(), Family.COST)
    first = newest - dt.timedelta(days=revision_days)
    with warehouse.reader() as stored:
        if not is_current(stored):  # of an earlier version: the next build replaces it
            return []
        held = set(held_days(stored, client.organization_id, ENDPOINTS["cost_report"], first, newest))
        held &= set(held_days(stored, client.organization_id, ENDPOINTS["user_cost_report"], first, newest))
    changed: set[dt.date] = set()
    temporary = plain_folder(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix="onelens-probe-", dir=temporary) as folder, _probes(warehouse) as probes:
        for endpoint in (ENDPOINTS["cost_report"], ENDPOINTS["usage_report"]):
            _load(probes, client, endpoint, held, Path(folder))
            changed |= _differing(probes, client.organization_id, endpoint, held)
        week = _week_of_today(newest, revision_days) & held - changed
        if deep_check and week:
            try:
                changed |= _deep_check(probes, client, week, Path(folder))
            except (ApiError, StoppedError) as error:
                _log.warning("The deep check of %s to %s did not end: %s", min(week), max(week), error)
    return sorted(changed)


def _deep_check(
    probes: duckdb.DuckDBPyConnection, client: AnalyticsClient, week: set[dt.date], folder: Path
) -> set[dt.date]:
    """Return the days on which a user's cost is told otherwise: first asked about the week as a whole."""
    users = ENDPOINTS["user_cost_report"]
    suspected: set[dt.date] = set()
    for window in windows(week, users.window_days):
        pull = fetch(
            client, PullRequest(client.organization_id, replace(users, queries=(_USERS_WEEK,)), window), folder
        )
        if _differs_by_user(probes, client.organization_id, window.days, [str(page.path) for page in pull.pages]):
            suspected |= set(window.days)
    if not suspected:
        return set()
    _load(probes, client, replace(users, queries=(_USERS_DAYS,)), suspected, folder)
    return _differing_users(probes, client.organization_id, suspected)


def _probes(warehouse: Warehouse) -> duckdb.DuckDBPyConnection:
    """Open a database in memory with the raw tables for the probes' answers and the serving copy as `stored`."""
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    create_raw_tables(connection)
    attach(connection, warehouse.serving_path, "stored", "read_only")
    return connection


def _load(
    probes: duckdb.DuckDBPyConnection,
    client: AnalyticsClient,
    endpoint: Endpoint,
    days: Iterable[dt.date],
    folder: Path,
) -> None:
    """Ask for the days and append the answers, by the same path as any pull.

    Days in between that are not held cost nothing more: a window is as wide as the endpoint allows.
    """
    for window in widest_windows(days, endpoint.window_days):
        request = PullRequest(client.organization_id, endpoint, window)
        append_pulls(probes, [fetch(client, request, folder, split_capped=False)], run_id=None)


def _differing(
    probes: duckdb.DuckDBPyConnection, organization_id: str, endpoint: Endpoint, days: Iterable[dt.date]
) -> set[dt.date]:
    columns = ", ".join(("activity_date", "query", *_COMPARED[endpoint.name]))
    return _days_only_in_one(
        probes,
        organization_id,
        days,
        probed=f"select {columns} from claude_raw.{endpoint.rows_table}",
        held=f"""select {columns} from stored.claude_raw.{endpoint.rows_table} as held
            semi join current_days on held.pull_id = current_days.pull_id
                and held.activity_date = current_days.activity_date and current_days.endpoint = '{endpoint.name}'
            where query in ('total', 'detail')""",
    )


def _differs_by_user(
    probes: duckdb.DuckDBPyConnection, organization_id: str, days: list[dt.date], files: list[str]
) -> bool:
    """Tell whether a user's total over the days is another one than the files of a whole window say."""
    row = probes.execute(
        f"""with {_CURRENT_DAYS},
        probed as (
            select actor.user_id as user_id, sum(amount::decimal(38, 12)) as cents,
                sum(list_amount::decimal(38, 12)) as list_cents
            from read_json($files, format = 'array', columns = {_USER_TOTAL})
            group by user_id
        ),
        held as (
            select actor_user_id as user_id, sum(amount) as cents, sum(list_amount) as list_cents
            from stored.claude_raw.user_cost_report_rows as held
            semi join current_days on held.pull_id = current_days.pull_id
                and held.activity_date = current_days.activity_date and current_days.endpoint = 'user_cost_report'
            group by user_id
        )
        select count(*)
        from probed full join held using (user_id)
        where abs(coalesce(probed.cents, 0) - coalesce(held.cents, 0)) > $dust::decimal(38, 12)
            or abs(coalesce(probed.list_cents, 0) - coalesce(held.list_cents, 0)) > $dust::decimal(38, 12)""",
        {"organization_id": organization_id, "days": days, "files": files, "dust": ROUNDING_DUST_CENTS},
    ).fetchone()
    return bool(row and row[0])


_USER_TOTAL = "{actor: 'struct(user_id varchar)', amount: 'varchar', list_amount: 'varchar'}"


def _differing_users(probes: duckdb.DuckDBPyConnection, organization_id: str, days: Iterable[dt.date]) -> set[dt.date]:
    columns = """activity_date, actor_user_id, sum(amount) as cents, sum(list_amount) as list_cents"""
    return _days_only_in_one(
        probes,
        organization_id,
        days,
        probed=f"select {columns} from claude_raw.user_cost_report_rows group by all",
        held=f"""select {columns} from stored.claude_raw.user_cost_report_rows as held
            semi join current_days on held.pull_id = current_days.pull_id
                and held.activity_date = current_days.activity_date and current_days.endpoint = 'user_cost_report'
            group by all""",
    )


_CURRENT_DAYS = f"""current_days as (
    select endpoint, activity_date, pull_id
    from ({current_days("stored.claude_raw.pulls")})
    where organization_id = $organization_id and list_contains($days, activity_date)
)"""


def _days_only_in_one(
    probes: duckdb.DuckDBPyConnection, organization_id: str, days: Iterable[dt.date], *, probed: str, held: str
) -> set[dt.date]:
    """Return the days with a row that only one of the two queries has."""
    rows = probes.execute(
        f"""with {_CURRENT_DAYS},
        probed as ({probed}),
        held as ({held})
        select activity_date from ((from probed except all from held) union all (from held except all from probed))
        where activity_date in (select activity_date from current_days)
        group by activity_date""",
        {"organization_id": organization_id, "days": sorted(days)},
    ).fetchall()
    return {row[0] for row in rows}


def _week_of_today(newest: dt.date, revision_days: int) -> set[dt.date]:
    """Return one week of the revision window, another one each day, so that all are seen in turn."""
    weeks = max(1, revision_days // _WEEK)
    oldest_age = _WEEK * (newest.toordinal() % weeks)
    return {newest - dt.timedelta(days=oldest_age + n) for n in range(1, _WEEK + 1)}
