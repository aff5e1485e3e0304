"""Marts as pandas data frames, with money kept as Decimal.

DuckDB's own `.df()` makes a DECIMAL column float64, which loses digits. Here it becomes a column of `decimal.Decimal`,
whose sums are exact up to 28 digits (`decimal.getcontext().prec`; an amount in cents has 12 after the point); counts
become nullable integers, so that a null stays a null and no count becomes a float.

What is here: reading the serving copy into frames. What to add here: another frame that several callers need.
What must not go here: writing, and arithmetic with money. Imports no Dagster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from onelens_claude.settings import load_settings
from onelens_claude.warehouse.files import open_serving_copy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import duckdb

_INTEGERS = frozenset({"tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger", "ubigint"})
_DTYPES = {"boolean": "boolean", "double": "Float64", "float": "Float64", "varchar": "object"}


def read_sql(
    sql: str,
    parameters: Sequence[Any] | Mapping[str, Any] = (),
    *,
    serving_path: Path | None = None,
) -> pd.DataFrame:
    """Return the rows of one statement over the serving copy, by default that of the settings.

    Shape: one column per column of the result. DECIMAL is an object column of Decimal, dates and timestamps are Python
    dates and naive UTC datetimes, integers Int64, doubles Float64; null is None or NA.
    Raises SettingsError, WarehouseError where there is no copy, and duckdb.Error for a wrong statement.
    """
    with open_serving_copy(serving_path or load_settings(needs_keys=False).serving_path) as connection:
        return to_frame(connection.execute(sql, parameters or None))


def read_mart(name: str, *, serving_path: Path | None = None) -> pd.DataFrame:
    """Return a whole mart, for instance `read_mart("user_monthly_spend")`; shape and errors as `read_sql`."""
    quoted = name.replace('"', '""')
    return read_sql(f'from marts."{quoted}"', serving_path=serving_path)


def to_frame(result: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Return the rows of an executed statement; shape as `read_sql`."""
    description = result.description or []
    columns = list(zip(*result.fetchall(), strict=True)) or [()] * len(description)
    frame = pd.DataFrame(
        {
            number: pd.Series(list(values), dtype=_dtype(str(column[1])))
            for number, (column, values) in enumerate(zip(description, columns, strict=True))
        }
    )
    return frame.set_axis([column[0] for column in description], axis="columns")  # a name may stand twice


def _dtype(kind: str) -> str:
    kind = kind.lower()
    return "Int64" if kind in _INTEGERS else _DTYPES.get(kind, "object")
