"""What a backfill would ask for, without asking: requests, minutes at the organisation's limit, rows known so far."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onelens_claude.clock import utc_now
from onelens_claude.endpoints import Endpoint, Shape, first_available_day
from onelens_claude.landing import windows
from onelens_claude.rate_limit import usable_rate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import duckdb

    from onelens_claude.settings import Organization


@dataclass(frozen=True, slots=True)
class PlannedEndpoint:
    """The requests of one endpoint of one organisation."""

    organization_id: str
    endpoint: str
    windows: int
    requests: int
    """At least: one per window and query, more where the rows known so far fill more pages."""
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
) -> list[PlannedEndpoint]:
    """Return the plan per organisation and endpoint, in the order they would run. `days` are inclusive."""
    oldest = first_available_day(utc_now().date())
    planned = []
    for organization in organizations:
        first = max(days[0], oldest, organization.backfill_start)
        wanted = [first + dt.timedelta(days=n) for n in range((days[1] - first).days + 1)]
        for endpoint in endpoints:
            rows = _rows_known(connection, organization.id, endpoint, wanted) if connection and wanted else {}
            per_window = _reports_per_window(connection, organization.id, endpoint)
            spans = windows(wanted, endpoint.window_days)
            requests = sum(per_window or _pages(endpoint, sum(rows.get(day, 0) for day in span.days)) for span in spans)
            planned.append(
                PlannedEndpoint(
                    organization.id,
                    endpoint.name,
                    len(spans),
                    requests,
                    sum(rows.values()),
                    round(requests / usable_rate(requests_per_minute), 1),
                )
            )
    return planned


def _pages(endpoint: Endpoint, rows: int) -> int:
    return max(1, -(-rows // endpoint.page_size)) if endpoint.page_size else 1


def _reports_per_window(
    connection: duckdb.DuckDBPyConnection | None, organization_id: str, endpoint: Endpoint
) -> int | None:
    """Return how many requests a window of a bucket report took last, pieces of capped answers included."""
    if endpoint.shape is not Shape.BUCKETS:
        return None
    row = (
        connection
        and connection.execute(
            "select arg_max(page_count, pull_sequence) from claude_raw.pulls "
            "where organization_id = ? and endpoint = ? and status = 'complete'",
            [organization_id, endpoint.name],
        ).fetchone()
    )
    return int(row[0]) if row and row[0] else len(endpoint.queries)


def _rows_known(
    connection: duckdb.DuckDBPyConnection, organization_id: str, endpoint: Endpoint, days: list[dt.date]
) -> Mapping[dt.date, int]:
    """Return the rows per day of the newest complete pulls, as `limit` counts them: without cost's fan-out."""
    fan_out = "distinct (r.cost_type is null, actor_user_id, product, model, context_window, inference_geo, speed)"
    counted = fan_out if endpoint.name == "user_cost_report" else "*"
    rows = connection.execute(
        f"""with current_days as (
            select day, arg_max(pull_id, (fetched_at, pull_sequence)) as pull_id
            from claude_raw.pulls
            join (select unnest($days::date[]) as day) on window_start <= day and day < window_end
            where organization_id = $organization_id and endpoint = $endpoint and status = 'complete'
            group by day
        )
        select day, count({counted})
        from claude_raw.{endpoint.rows_table} as r
        join current_days on r.pull_id = current_days.pull_id and r.activity_date = current_days.day
        group by day""",
        {"days": days, "organization_id": organization_id, "endpoint": endpoint.name},
    ).fetchall()
    return dict(rows)
