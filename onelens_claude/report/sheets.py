"""The tables of the page as CSV files, with every digit that a mart holds.

What is here: one file per table, and spend by day and by person. What to add here: nothing but a form of the same rows.
What must not go here: other rows than the page has (`spend.py`, `tables.py`).
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from onelens_claude.clock import utc_now
from onelens_claude.report.data import read_report
from onelens_claude.report.page import replace_file
from onelens_claude.warehouse.files import open_serving_copy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from onelens_claude.report.data import Report
    from onelens_claude.settings import Settings

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_EPOCH = dt.date(1970, 1, 1)


def write_sheets(
    settings: Settings, folder: Path, *, organization_id: str | None = None, is_redacted: bool = False
) -> list[Path]:
    """Write one file per table that has rows into a folder; return their paths. Errors as `page.write_page`."""
    with open_serving_copy(settings.serving_path) as connection:
        report = read_report(
            connection, settings, now=utc_now(), organization_id=organization_id, is_redacted=is_redacted
        )
    written = []
    for name, rows in sheets(report).items():
        lines = list(rows)
        if lines:
            path = folder / f"{name}.csv"
            replace_file(path, _csv(lines).encode())
            written.append(path)
    return written


def sheets(report: Report) -> dict[str, Iterable[dict[str, Any]]]:
    """Return the rows of every file by its name."""
    hidden = {"person", "incident_id"}
    tables = {
        name: [{key: value for key, value in row.items() if key not in hidden} for row in table["rows"]]
        for name, table in report.tables.items()
    }
    return {
        "spend_by_day": _lines(report, report.spend["by_day"]),
        "spend_by_person": _lines(report, report.spend["by_person"]),
        **tables,
    }


def _lines(report: Report, columns: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    people, organizations = report.spend["people"], report.tables["organizations"]["rows"]
    for values in zip(*columns.values(), strict=True):
        line = dict(zip(columns, values, strict=True))
        person = line.get("person")
        number = line["organization"] if person is None else people["organization"][person]
        row: dict[str, Any] = {"organization_id": organizations[number]["organization_id"]}
        if person is not None:
            row |= {"person": people["label"][person], "address": people["detail"][person]}
        row |= {
            "day": str(_EPOCH + dt.timedelta(days=line["day"])),
            "product": report.spend["products"][line["product"]],
            "model": report.spend["models"][line["model"]],
            "paid_usd": _usd(line["paid"], line["paid_rest"]),
            "list_usd": "" if line["list_unknown"] else _usd(line["list"], line["list_rest"]),
        }
        yield row | {name: line[name] for name in ("uncached", "cache_read", "cache_write", "output") if name in line}


def _usd(millionths: int, rest: int) -> str:
    return f"{Decimal(millionths).scaleb(-6) + Decimal(rest).scaleb(-14):.14f}"


def _csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)))
    writer.writeheader()
    writer.writerows({key: _harmless(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def _harmless(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula; a negative amount is none."""
    if not isinstance(value, str) or not value.startswith(_FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value
