"""What a mart's page in the UI tells of the mart: rows, up to when it is complete, its first rows, an example query.

What is here: what is read for that, and which columns are never shown. What to add here: another figure of a mart.
What must not go here: addresses, names and sentences about people. Dagster keeps metadata as long as a run, whatever
the settings say of addresses and of how long data is kept.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb

from onelens_claude.paths import EXAMPLE_QUERIES
from onelens_claude.visible import visible
from onelens_claude.warehouse.connections import connect

MARTS = "marts"
_ROWS = 5
_COLUMNS = 8
_NEWEST_DAYS = 31
_ABOUT_PEOPLE = re.compile(r"(^|_)(email|name|reason|title|text|evidence|error|data|query)$")
_TECHNICAL = re.compile(r"_cents$|^(built_through_sequence|pull_id|alert_key|incident_id)$")
_AMOUNTS = ("amount_usd", "spent_usd", "avoidable_usd", "total_cost_usd", "user_cost_usd", "impact_usd", "change_usd")
_PERIODS = ("activity_date", "month", "period_start")


@cache
def _example_queries() -> list[str]:
    text = EXAMPLE_QUERIES.read_text(encoding="utf-8") if EXAMPLE_QUERIES.exists() else ""
    return re.findall(r"```sql\n(.*?)```", text, re.DOTALL)


def example_query(mart: str) -> dict[str, Any]:
    """Return the documented query that begins with the mart, or else one that reads it, as metadata of the asset."""
    reading = [sql for sql in _example_queries() if re.search(rf"\b{MARTS}\.{mart}\b", sql)]
    reading.sort(key=lambda sql: not re.search(rf"^from {MARTS}\.{mart}\b", sql, re.MULTILINE))
    return {"example_query": dg.MetadataValue.md(f"```sql\n{reading[0]}```")} if reading else {}


def mart_previews(path: Path, marts: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return metadata of each mart of the file; what cannot be read is left out: it is no reason to fail a build."""
    previews: dict[str, dict[str, Any]] = {}
    with suppress(duckdb.Error), connect(path, read_only=True) as connection:
        for mart in marts:
            with suppress(duckdb.Error):
                previews[mart] = _preview(connection, mart)
    return previews


def _preview(connection: duckdb.DuckDBPyConnection, mart: str) -> dict[str, Any]:
    table = f"{MARTS}.{mart}"
    columns = [column[0] for column in connection.execute(f"select * from {table} limit 0").description or []]
    metadata: dict[str, Any] = {"dagster/row_count": _value(connection, f"select count(*) from {table}")}
    period = next((name for name in _PERIODS if name in columns), None)
    if period == "activity_date" and "finality" in columns:
        complete = f"select max(activity_date) from {table} where finality <> 'incomplete'"
        metadata["complete_to"] = str(_value(connection, complete) or "no day is complete")
    amount = next((name for name in _AMOUNTS if name in columns), None)
    shown = [one for one in columns if not (_ABOUT_PEOPLE.search(one) or _TECHNICAL.search(one))][:_COLUMNS]
    shown += [amount] if amount and amount not in shown else []
    # the newest days alone: of a long history, the rest need not be read
    newest = f"where {period} > (select max({period}) from {table}) - {_NEWEST_DAYS}" if period else ""
    order = f"{amount} desc nulls last" if amount else f"{period} desc" if period else "all"
    rows = connection.execute(
        f"select {', '.join(shown)} from {table} {newest} order by {order} limit {_ROWS}"
    ).fetchall()
    if rows:
        records = [dg.TableRecord({name: _cell(cell) for name, cell in zip(shown, row, strict=True)}) for row in rows]
        metadata["highest" if amount else "newest" if period else "first"] = dg.MetadataValue.table(records)
    return metadata


def _value(connection: duckdb.DuckDBPyConnection, sql: str) -> Any:
    (value,) = connection.execute(sql).fetchone() or (None,)
    return value


def _cell(value: Any) -> str:
    """Return a value as text: Dagster's numbers are floats. A value that holds an address is not shown."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    text = "" if value is None else visible(str(value))
    return "(an address)" if "@" in text else text
