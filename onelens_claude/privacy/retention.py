"""Retention: what is older than `retention.months` goes, from the pages, the rows, the ledger and the models.

What is here: which days are beyond the retention, what is held of them, and deleting it. What to add here: another
place that keeps days. What must not go here: rewriting a page (`bodies.py`), when it runs (`orchestration`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from onelens_claude.api.endpoints import ENDPOINTS
from onelens_claude.clock import naive_utc, utc_now
from onelens_claude.privacy.bodies import keep_rows
from onelens_claude.warehouse.connections import dicts, transaction

if TYPE_CHECKING:
    import datetime as dt

    import duckdb

    from onelens_claude.warehouse.files import Warehouse

_MODEL_TABLES = """
select tables.schema_name, tables.table_name,
    bool_or(column_name = 'activity_date') as has_days,
    bool_or(column_name = 'built_through_sequence') as is_incremental
from duckdb_tables() as tables
join duckdb_columns() as columns using (database_name, schema_name, table_name)
where tables.database_name = current_database() and schema_name in ('staging', 'intermediate', 'marts')
group by all
having bool_or(column_name in ('activity_date', 'month'))
order by all
"""


@dataclass(frozen=True, slots=True)
class Expired:
    """What is held of an organisation's days before the first one that is kept, of one endpoint."""

    organization_id: str
    endpoint: str
    first_day: dt.date
    """The oldest day of these pulls."""
    pull_count: int
    """Complete and failed pulls with such days; one that also covers younger days loses only the older."""
    row_count: int


def expired(connection: duckdb.DuckDBPyConnection, first_kept: dt.date) -> list[Expired]:
    """Return what the raw tables hold of days before `first_kept`, organisations no longer in the settings included."""
    found = connection.execute(
        """select organization_id, endpoint, min(window_start), count(*)
        from claude_raw.pulls
        where window_start < $first_kept
        group by all
        order by all""",
        {"first_kept": first_kept},
    ).fetchall()
    rows = {
        name: dict(
            connection.execute(
                f"select organization_id, count(*) from claude_raw.{ENDPOINTS[name].rows_table} "
                "where activity_date < ? group by all",
                [first_kept],
            ).fetchall()
        )
        for name in {endpoint for _, endpoint, _, _ in found}
    }
    return [
        Expired(organization, endpoint, first, pulls, rows[endpoint].get(organization, 0))
        for organization, endpoint, first, pulls in found
    ]


def delete_expired(warehouse: Warehouse, first_kept: dt.date, *, run_id: str | None = None) -> list[Expired]:
    """Delete every day before `first_kept` and rewrite the file without its bytes; build and publish next.

    Returns what went, which `claude_raw.deletions` records. All of it is one transaction; if the process ends before
    the file is rewritten, the next call does that.
    """
    with warehouse.writer() as connection:
        with transaction(connection):
            gone = expired(connection, first_kept)
            if gone:
                _delete_raw(connection, first_kept)
                _delete_from_models(connection, first_kept)
                _record(connection, gone, first_kept, run_id)
        (is_unfinished,) = connection.execute(
            "select count(*) > 0 from claude_raw.deletions where erased_at is null"
        ).fetchone() or (False,)
    if is_unfinished:
        warehouse.compact()
        with warehouse.writer() as connection:
            connection.execute(
                "update claude_raw.deletions set erased_at = ? where erased_at is null", [naive_utc(utc_now())]
            )
    return gone


def deletions(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Return what went and when, newest first."""
    return dicts(connection, "from claude_raw.deletions order by deleted_at desc, organization_id, endpoint")


def _delete_raw(connection: duckdb.DuckDBPyConnection, first_kept: dt.date) -> None:
    bounds = {"first_kept": first_kept}
    straddling = connection.execute(
        """select pull_id from claude_raw.pulls
        where status = 'complete' and window_start < $first_kept and window_end > $first_kept""",
        bounds,
    ).fetchall()
    # An element of such a page is a day, or a row that names its day.
    keep_rows(connection, [one for (one,) in straddling], lambda row: row["starting_at"][:10] >= first_kept.isoformat())
    connection.execute(
        "create or replace temp table pulls_to_delete as "
        "select pull_id from claude_raw.pulls where window_end <= $first_kept",
        bounds,
    )
    for endpoint in ENDPOINTS.values():
        connection.execute(f"delete from claude_raw.{endpoint.rows_table} where activity_date < $first_kept", bounds)
    for table in ("page_parts", "pages", "pulls"):
        connection.execute(f"delete from claude_raw.{table} where pull_id in (from pulls_to_delete)")
    connection.execute("drop table pulls_to_delete")
    for table in ("watch_amounts", "watch_pages", "watch_looks"):
        old_looks = "select look_id from claude_raw.watch_looks where activity_date < $first_kept"
        connection.execute(f"delete from claude_raw.{table} where look_id in ({old_looks})", bounds)
    connection.execute(
        "update claude_raw.pulls set window_start = $first_kept where window_start < $first_kept", bounds
    )


def _delete_from_models(connection: duckdb.DuckDBPyConnection, first_kept: dt.date) -> None:
    """Delete the days from every table of the models; the next build writes the month that is cut anew."""
    for schema, table, has_days, is_incremental in connection.execute(_MODEL_TABLES).fetchall():
        column = "activity_date" if has_days else "month"
        is_old = f"{column} < $first_kept"
        if not has_days and not is_incremental:
            is_old = "month < date_trunc('month', $first_kept::date)"
        connection.execute(f'delete from "{schema}"."{table}" where {is_old}', {"first_kept": first_kept})


def _record(
    connection: duckdb.DuckDBPyConnection, gone: list[Expired], first_kept: dt.date, run_id: str | None
) -> None:
    moment = naive_utc(utc_now())
    for one in gone:
        connection.execute(
            "insert into claude_raw.deletions values (?, ?, ?, ?, ?, ?, ?, ?, null)",
            [
                one.organization_id,
                one.endpoint,
                first_kept,
                one.first_day,
                one.pull_count,
                one.row_count,
                moment,
                run_id,
            ],
        )
