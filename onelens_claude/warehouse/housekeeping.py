"""Keeping the raw store small: pulls that history does not need are removed, and the file is rewritten without holes.

Of each day the first pull, every pull that changed something, and the newest stay. A pull between them whose rows equal
those of the pull before it can go: whoever asks what was known then gets the same rows from the one before.

What is here: choosing and deleting whole pulls. What to add here: another rule of what history does not need.
What must not go here: failed pulls, whose ledger rows stay; parts of a pull; anything of Dagster.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onelens_claude.api.endpoints import ENDPOINTS, Endpoint
from onelens_claude.clock import naive_utc, utc_now
from onelens_claude.warehouse.connections import transaction
from onelens_claude.warehouse.raw_tables import pull_days, row_columns

if TYPE_CHECKING:
    import duckdb

    from onelens_claude.warehouse.files import Warehouse


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """What a call did."""

    pulls_removed: int
    bytes_before: int
    bytes_after: int


def tidy(warehouse: Warehouse, *, keep_days: int) -> Housekeeping:
    """Remove needless pulls fetched more than `keep_days` ago, then rewrite the file. Publish afterwards.

    Each endpoint is one transaction and the new file replaces the old in one step, so a crash loses nothing.
    """
    before = warehouse.path.stat().st_size if warehouse.path.exists() else 0
    cutoff = naive_utc(utc_now() - dt.timedelta(days=keep_days))
    removed = 0
    with warehouse.writer() as connection:
        for endpoint in ENDPOINTS.values():
            removed += _remove(connection, endpoint, needless_pulls(connection, endpoint, cutoff))
    if removed:
        warehouse.compact()
    return Housekeeping(removed, before, warehouse.path.stat().st_size)


def superseded_pulls(connection: duckdb.DuckDBPyConnection, keep_days: int) -> int:
    """Count the pulls that `tidy` would remove."""
    cutoff = naive_utc(utc_now() - dt.timedelta(days=keep_days))
    return sum(len(needless_pulls(connection, endpoint, cutoff)) for endpoint in ENDPOINTS.values())


def needless_pulls(connection: duckdb.DuckDBPyConnection, endpoint: Endpoint, cutoff: dt.datetime) -> list[str]:
    """Return the ids of complete pulls before `cutoff` that are superseded and changed nothing, on all their days."""
    content = ", ".join(
        f'"{name}"' for name in row_columns(endpoint) if name not in {"pull_id", "page_number", "organization_id"}
    )
    rows = connection.execute(
        f"""with pull_days as (
            select * from ({pull_days()}) where endpoint = $endpoint
        ),
        repeated as (
            select organization_id, activity_date from pull_days group by all having count(*) > 2
        ),
        contents as (
            select pull_id, activity_date, count(*) as rows_held,
                sum(hash({content})::hugeint) as hash_sum, bit_xor(hash({content})) as hash_xor
            from claude_raw.{endpoint.rows_table}
            semi join repeated using (organization_id, activity_date)
            group by pull_id, activity_date
        ),
        compared as (
            select pull_id, fetched_at,
                lag(pull_id) over day_history is null as is_first,
                lead(pull_id) over day_history is null as is_newest,
                (rows_held, hash_sum, hash_xor) is distinct from (
                    lag(rows_held) over day_history, lag(hash_sum) over day_history, lag(hash_xor) over day_history
                ) as changed
            from pull_days
            left join contents using (pull_id, activity_date)
            window day_history as (
                partition by organization_id, activity_date order by pull_sequence
            )
        )
        select pull_id
        from compared
        group by pull_id
        having not bool_or(is_first or is_newest or changed) and max(fetched_at) < $cutoff""",
        {"endpoint": endpoint.name, "cutoff": cutoff},
    ).fetchall()
    return [row[0] for row in rows]


def _remove(connection: duckdb.DuckDBPyConnection, endpoint: Endpoint, pull_ids: list[str]) -> int:
    if not pull_ids:
        return 0
    with transaction(connection):
        for table in ("page_parts", "pages", endpoint.rows_table, "pulls"):
            connection.execute(
                f"delete from claude_raw.{table} where pull_id in (select unnest($pull_ids))", {"pull_ids": pull_ids}
            )
    return len(pull_ids)
