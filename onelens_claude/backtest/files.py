"""Somebody else's files: `spend.csv`, `spend.csv.gz` or `spend.parquet`, and what they know about it in `labels.csv`.

Every field is read as text and then made what it must be, so that the first one that is wrong can be quoted with its
line, and a float of a parquet file becomes the decimal that it is written as. A header may be quoted and in capitals,
further columns are ignored, an empty user, product or model is none.

What is here: finding, reading and checking the files. What to add here: another form of file.
What must not go here: what the rows mean to the models (`running.py`).
"""

from __future__ import annotations

import csv
import gzip
import re
import shutil
import zlib
from typing import TYPE_CHECKING, NoReturn, TextIO

import duckdb

from onelens_claude.backtest.labels import EVENTS, HARMLESS, SCOPES, Label
from onelens_claude.errors import SettingsError
from onelens_claude.visible import visible

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SPEND_COLUMNS = ("organization_id", "activity_date", "user_id", "product", "model", "amount_usd")
LABEL_COLUMNS = ("organization_id", "scope", "scope_value", "kind", "start", "end", "impact_usd")

_ENDINGS = (".csv", ".csv.gz", ".parquet")
_LONGEST_VALUE = 60
_CSV_LINE = re.compile(r"CSV Error on Line: (\d+)")
_CSV_REASONS = {
    "not utf-8 encoded": "it is not UTF-8",
    "unterminated quote": "a quote is opened and never closed",
    "Expected Number of Columns": "it has another number of fields than the header",
    "Maximum line size": "it is longer than any row can be; is a quote never closed?",
}
_DAY = r"'\d{4}-\d\d-\d\d([ T]00:00:00(\.0+)?(Z|\+00(:00)?)?)?'"
_AMOUNT = r"'[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?'"
_FIRST_YEAR, _LAST_YEAR = 2000, 2099


def read_spend(connection: duckdb.DuckDBPyConnection, folder: Path, work: Path) -> list[str]:
    """Read the spend of a folder into the table `spend` and return what a reader must know about it.

    `work` takes what is unpacked. Raises SettingsError, which names file, line and column.
    """
    path = _find(folder, "spend")
    if path is None:
        raise SettingsError(
            f"--data: {visible(str(folder))} has no {', '.join(f'spend{one}' for one in _ENDINGS)}; name the folder "
            "of one"
        )
    given = _Given(connection, path, "given_spend", SPEND_COLUMNS, work)
    given.fail_if_empty()
    given.refuse(
        _missing("organization_id"),
        _no_day("activity_date"),
        ("amount_usd", "amount_usd is null", "is empty; where nothing was spent, leave the row out"),
        _no_amount("amount_usd"),
    )
    connection.execute(
        f"""create table spend as
        select
            organization_id, {_day("activity_date")} as activity_date, user_id, product, model,
            cast(sum(cast(amount_usd as decimal(38, 14))) as decimal(38, 14)) as amount_usd
        from given_spend
        group by all"""
    )
    return _notes(connection, given)


def read_labels(connection: duckdb.DuckDBPyConnection, folder: Path, work: Path) -> list[Label] | None:
    """Return the labels of a folder, or None if it has none; `read_spend` comes first. Raises SettingsError."""
    path = _find(folder, "labels")
    if path is None:
        return None
    given = _Given(connection, path, "given_labels", LABEL_COLUMNS, work)
    given.refuse(
        _missing("organization_id"),
        (
            "organization_id",
            "organization_id not in (select organization_id from spend)",
            "is no organisation of the spend file",
        ),
        ("scope", f"scope is null or scope not in {SCOPES}", f"is none of {', '.join(SCOPES)}"),
        ("scope_value", "scope_value is null and scope <> 'organization'", "is empty"),
        (
            "scope_value",
            "scope = 'organization' and scope_value <> organization_id",
            "is not the organisation's own id, which this scope needs",
        ),
        ("kind", f"kind is null or kind not in {EVENTS + HARMLESS}", f"is none of {', '.join(EVENTS + HARMLESS)}"),
        _no_day("start"),
        _no_day("end"),
        ("end", f"{_day('end')} < {_day('start')}", "is before the start"),
        _no_amount("impact_usd"),
    )
    rows = connection.execute(
        f"""select
            organization_id, scope, coalesce(scope_value, organization_id), kind, {_day("start")}, {_day("end")},
            cast(impact_usd as decimal(38, 14))
        from given_labels order by record"""
    ).fetchall()
    return [Label(*row) for row in rows]


class _Given:
    """The rows of a file as text, in a table of its own; empty fields are null, spaces around a field are gone."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        path: Path,
        table: str,
        columns: Sequence[str],
        work: Path,
    ) -> None:
        self.connection, self.path, self.table = connection, path, table
        self.is_parquet = path.suffix == ".parquet"
        self._plain = self._unpacked(work) if path.suffix == ".gz" else path
        relation, names = self._parquet() if self.is_parquet else self._csv()
        lowered = [name.strip().lower() for name in names]
        for column in columns:
            if lowered.count(column) != 1:
                how_often = "more than one" if column in lowered else "no"
                self._fail(f"there is {how_often} column {column}; its columns are {', '.join(names) or 'none'}")
        places = ", ".join(
            f"nullif(trim(cast(#{lowered.index(column) + 2} as varchar)), '') as \"{column}\"" for column in columns
        )
        try:
            connection.execute(f"create temp table {table} as select #1 as record, {places} from {relation}")
        except duckdb.Error as error:
            self._fail_of_form(error)

    def refuse(self, *rules: tuple[str, str, str]) -> None:
        """Raise SettingsError at the first row that a rule (column, condition, words) finds wrong."""
        whens = " ".join(f"when {condition} then {number}" for number, (_, condition, _) in enumerate(rules))
        found = self.connection.execute(
            f"""select record, rule, {", ".join(f'"{column}"' for column, _, _ in rules)}
            from (select *, case {whens} end as rule from {self.table})
            where rule is not null
            order by record
            limit 1"""
        ).fetchone()
        if found:
            record, rule, *values = found
            column, _, words = rules[rule]
            quoted = "" if values[rule] is None else f"{values[rule][:_LONGEST_VALUE]!r} "
            place = f"row {record}" if self.is_parquet else f"line {self._line(record)}"
            self._fail(f"{place}: column {column}: {quoted}{words}")

    def fail_if_empty(self) -> None:
        """Raise SettingsError where there is a header and nothing below it."""
        if self.connection.execute(f"select 1 from {self.table} limit 1").fetchone() is None:
            self._fail("there is no row in it")

    def _unpacked(self, work: Path) -> Path:
        plain = work / self.path.stem
        try:
            with gzip.open(self.path) as packed, plain.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)
        except (OSError, EOFError, zlib.error) as error:  # also a checksum that is wrong, and an end that is missing
            self._fail(f"it cannot be unpacked: {error}")
        return plain

    def _csv(self) -> tuple[str, list[str]]:
        """Return what reads the rows, numbered, and the header."""
        try:
            with self._lines() as lines:
                names = next(csv.reader(lines), [])
        except (OSError, csv.Error) as error:
            self._fail(f"its header cannot be read: {error}")
        if not names:
            self._fail("there is nothing in it, not even a header")
        fields = ", ".join(f"'field_{number}': 'VARCHAR'" for number in range(len(names)))
        options = "delim = ',', quote = '\"', escape = '\"', header = true, auto_detect = false"
        rows = f"read_csv({_quoted(self._plain)}, {options}, columns = {{{fields}}})"
        return f"(select row_number() over (), * from {rows})", names

    def _parquet(self) -> tuple[str, list[str]]:
        rows = f"read_parquet({_quoted(self._plain)})"
        try:
            described = self.connection.execute(f"describe select * from {rows}").fetchall()
        except duckdb.Error as error:
            self._fail_of_form(error)
        self.types = {name.strip().lower(): kind for name, kind, *_ in described}
        return f"(select row_number() over (), * from {rows})", [row[0] for row in described]

    def _lines(self) -> TextIO:
        return self._plain.open(encoding="utf-8-sig", errors="surrogateescape", newline="")

    def _line(self, record: int) -> int:
        """Return the line on which a row begins: a field may have line breaks, and lines may be empty."""
        with self._lines() as lines:
            reader = csv.reader(lines)
            begins, row = 1, -1
            for fields in reader:
                row += bool(fields)
                if row == record:
                    break
                begins = reader.line_num + 1
        return begins

    def _fail_of_form(self, error: duckdb.Error) -> NoReturn:
        told = str(error)
        line = _CSV_LINE.search(told)
        reason = next((words for sign, words in _CSV_REASONS.items() if sign in told), told.splitlines()[0])
        self._fail(f"line {line[1]}: {reason}" if line else reason)

    def _fail(self, reason: str) -> NoReturn:
        raise SettingsError(visible(f"{self.path}: {reason}; correct the file and run it again")) from None


def _find(folder: Path, name: str) -> Path | None:
    """Return the one file of that name; SettingsError where there are several or the folder is none."""
    if not folder.is_dir():
        raise SettingsError(visible(f"--data: {folder} is no folder; name the one that has the files"))
    found = [path for ending in _ENDINGS if (path := folder / f"{name}{ending}").is_file()]
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise SettingsError(visible(f"--data: {folder} has {names}; keep one of them"))
    return found[0] if found else None


def _notes(connection: duckdb.DuckDBPyConnection, given: _Given) -> list[str]:
    notes = []
    if given.is_parquet and given.types["amount_usd"] in {"DOUBLE", "FLOAT"}:
        notes.append("amount_usd is a float; each amount is read as the shortest decimal that stands for it")
    rows, finer, keys, unattributed = connection.execute(
        """select
            count(*),
            count(*) filter (where try_cast(amount_usd as decimal(38, 20)) <> cast(amount_usd as decimal(38, 14))),
            (select count(*) from spend),
            count(*) filter (where user_id is null)
        from given_spend"""
    ).fetchone() or (0, 0, 0, 0)
    if finer:
        notes.append(f"amounts with more than 14 decimal places, rounded there: {finer:,}")
    if rows > keys:
        notes.append(f"rows that repeat a day, user, product and model, added up: {rows - keys:,}")
    if unattributed:
        notes.append(
            f"rows without a user, which count for the organisation, its products and models: {unattributed:,}"
        )
    return [visible(f"{given.path}: {note}") for note in notes]


def _missing(column: str) -> tuple[str, str, str]:
    return column, f"{column} is null", "is empty"


def _no_day(column: str) -> tuple[str, str, str]:
    return (
        column,
        f"{_day(column)} is null or year({_day(column)}) not between {_FIRST_YEAR} and {_LAST_YEAR}",
        f"is no day from {_FIRST_YEAR} to {_LAST_YEAR}, such as 2026-01-31",
    )


def _no_amount(column: str) -> tuple[str, str, str]:
    condition = f"not regexp_full_match({column}, {_AMOUNT}) or try_cast({column} as decimal(38, 14)) is null"
    return column, f"{column} is not null and ({condition})", "is no amount in dollars, such as 12.34"


def _day(column: str) -> str:
    text = f'"{column}"'
    return f"try_cast(case when regexp_full_match({text}, {_DAY}) then left({text}, 10) end as date)"


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
