"""What a backfill would ask for, without asking: requests, minutes at the organisation's limit, rows known so far."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onelens_claude.api.endpoints import Endpoint, Shape, first_available_day, newest_possible_day
from onelens_claude.api.rate_limit import usable_rate
from onelens_claude.api.windows import windows
from onelens_claude.clock import utc_now
from onelens_claude.ledger.held import current_days, not_pulled_since

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import duckdb

    from onelens_claude.api.windows import Window
    from onelens_claude.settings import Organization


_COUNTED_DAYS = 31
"""Rows are counted in parts of so many days: distinct rows of a year would need gigabytes."""


@dataclass(frozen=True, slots=True)
class PlannedEndpoint:
    """The requests of one endpoint of one organisation."""

    organization_id: str
    endpoint: str
    windows: int
    requests: int
    """One per window and query, more where the rows known so far fill more pages."""
    is_exact: bool
    """Every row to come is known from an earlier pull, or there is a single page; else `requests` is the least."""
    rows_known: int
    """Rows the newest pulls of these days held; 0 where nothing was pulled yet."""
    minutes: float
    """At the organisation's limit, which its endpoints share: these add up."""


def plan_backfill(
    connection: duckdb.DuckDBPyConnection | None,
    organizations: Iterable[Organization],
    endpoints: Sequence[Endpoint],
    days: tuple[dt.date, dt.date],
    requests_per_minute: int,
    *,
    pulled_since: dt.datetime | None = None,
) -> list[PlannedEndpoint]:
    """Return the plan per organisation and endpoint. `days` are inclusive; those pulled since are left out."""
    planned = []
    for organization in organizations:
        for endpoint in endpoints:
            wanted = _wanted(connection, organization, endpoint, days, pulled_since)
            spans = windows(wanted, endpoint.window_days)
            rows, requests = _rows_and_requests(connection, organization.id, endpoint, wanted, spans)
            planned.append(
                PlannedEndpoint(
                    organization.id,
                    endpoint.name,
                    len(spans),
                    sum(count for count, _ in requests),
                    all(is_exact for _, is_exact in requests),
                    rows,
                    round(sum(count for count, _ in requests) / usable_rate(requests_per_minute), 1),
                )
            )
    return planned


def _wanted(
    connection: duckdb.DuckDBPyConnection | None,
    organization: Organization,
    endpoint: Endpoint,
    days: tuple[dt.date, dt.date],
    pulled_since: dt.datetime | None,
) -> list[dt.date]:
    """Return the days that are there to be asked for."""
    now = utc_now()
    first = max(days[0], first_available_day(now.date()), organization.backfill_start)
    last = min(days[1], newest_possible_day(now, endpoint.family))
    wanted = [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]
    if not (connection and pulled_since and wanted):
        return wanted
    return not_pulled_since(connection, organization.id, endpoint, wanted, pulled_since)


def _rows_and_requests(
    connection: duckdb.DuckDBPyConnection | None,
    organization_id: str,
    endpoint: Endpoint,
    wanted: list[dt.date],
    spans: list[Window],
) -> tuple[int, list[tuple[int, bool]]]:
    """Return the rows known, and per window the requests and whether that is exact."""
    held = _held(connection, organization_id, endpoint, wanted) if connection and wanted else {}
    rows: dict[dt.date, int] = {}
    if connection and held:
        for part in windows(held, _COUNTED_DAYS):
            rows |= _rows_known(connection, organization_id, endpoint, part.days)
    requests = []
    for span in spans:
        is_known = all(day in held for day in span.days)
        if not endpoint.page_size:
            requests.append((1, True))
        elif endpoint.shape is Shape.BUCKETS:
            requests.append(_reports(endpoint, span, {held[day] for day in span.days if day in held}, is_known))
        else:
            count = sum(rows.get(day, 0) for day in span.days)
            requests.append((max(1, -(-count // endpoint.page_size)), is_known))
    return sum(rows.values()), requests


@dataclass(frozen=True, slots=True)
class _Held:
    """The newest complete pull of a day."""

    start: dt.date
    end: dt.date
    page_count: int


def _reports(endpoint: Endpoint, span: Window, pulls: set[_Held], is_known: bool) -> tuple[int, bool]:
    """Return the requests of a window of a bucket report: one per query, and pieces where an answer is capped.

    How many pieces an answer needs is known for the window it was pulled in.
    """
    queries = len(endpoint.queries)
    if not is_known or all(pull.page_count == queries for pull in pulls):
        return queries, is_known
    same_window = {(pull.start, pull.end) for pull in pulls} == {(span.start, span.end)}
    return max(pull.page_count for pull in pulls), same_window


def _held(
    connection: duckdb.DuckDBPyConnection, organization_id: str, endpoint: Endpoint, days: list[dt.date]
) -> Mapping[dt.date, _Held]:
    rows = connection.execute(
        f"""select activity_date, window_start, window_end, page_count
        from ({current_days()})
        where organization_id = $organization_id and endpoint = $endpoint and list_contains($days, activity_date)""",
        {"days": days, "organization_id": organization_id, "endpoint": endpoint.name},
    ).fetchall()
    return {day: _Held(*pull) for day, *pull in rows}


def _rows_known(
    connection: duckdb.DuckDBPyConnection, organization_id: str, endpoint: Endpoint, days: list[dt.date]
) -> Mapping[dt.date, int]:
    """Return the rows per day of the newest complete pulls, as `limit` counts them: without cost's fan-out."""
    fan_out = "distinct hash(r.cost_type is null, actor_user_id, product, model, context_window, inference_geo, speed)"
    counted = fan_out if endpoint.name == "user_cost_report" else "*"
    rows = connection.execute(
        f"""with current_days as (
            select pull_id, activity_date
            from ({current_days()})
            where organization_id = $organization_id and endpoint = $endpoint and list_contains($days, activity_date)
        )
        select r.activity_date, count({counted})
        from claude_raw.{endpoint.rows_table} as r
        join current_days using (pull_id, activity_date)
        group by r.activity_date""",
        {"days": days, "organization_id": organization_id, "endpoint": endpoint.name},
    ).fetchall()
    return dict(rows)
