"""`query`: one statement that reads, on the serving copy.

What is here: which statements are run and how their rows are printed. What to add here: another form of output.
What must not go here: how values and tables look (`output.py`), how the copy is opened (`warehouse/files.py`).
"""

from __future__ import annotations

import csv
import itertools
import sys
import textwrap
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import duckdb
import typer

from onelens_claude.cli.output import JSON_OPTION, inert, json_text, note, print_table, stdout
from onelens_claude.errors import SettingsError, WarehouseError
from onelens_claude.settings import load_settings
from onelens_claude.visible import visible
from onelens_claude.warehouse.files import FILE_ERRORS, Warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_ROWS = 200
"""In a table; more is for a program, or for a narrower question."""
_BATCH = 2048
"""DuckDB's own: an answer is never in memory as a whole."""
_READING = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
"""DuckDB calls FROM, WITH, VALUES, DESCRIBE, SHOW, SUMMARIZE and PIVOT a SELECT, too."""
_OF_A_PIVOT = {duckdb.StatementType.CREATE, duckdb.StatementType.TRANSACTION}


def query(
    sql: str = typer.Argument(metavar="SQL", help="One statement, for example: from marts.user_monthly_spend limit 5"),
    as_json: bool = JSON_OPTION,
    as_csv: bool = typer.Option(False, "--csv", help="Print CSV with a header line."),
) -> None:
    """Run one read-only SQL statement on the serving copy.

    Settings and other files are out of its reach. A table ends after 200 rows, and a row that is wider than
    the screen becomes one field per line; --csv and --json print everything. In --csv, a text that begins like a
    spreadsheet's formula (= + - @, tab, line break) and is no number has an apostrophe before it; --json is exact.
    """
    if as_json and as_csv:
        raise typer.BadParameter("give only one of --json and --csv")
    with Warehouse.of(load_settings(needs_keys=False)).reader() as connection:
        try:
            is_explained = _checked(connection, sql)
            connection.execute("set enable_progress_bar = false; set lock_configuration = true")
            result = connection.execute(sql)
            columns = _distinct([column[0] for column in result.description or []])
            if as_json:
                _print_json(columns, _rows(result))
            elif as_csv:
                _print_csv(columns, _rows(result))
            elif is_explained:
                for _, plan in _rows(result):
                    stdout.print(visible(plan, keep="\n"), soft_wrap=True)
            else:
                _print_rows(columns, result.fetchmany(_MOST_ROWS + 1))
        except FILE_ERRORS as error:
            raise WarehouseError(f"{load_settings(needs_keys=False).serving_path}: cannot be read: {error}") from None
        except duckdb.Error as error:
            # indented, so that a value it quotes can begin no line of ours
            raise SettingsError(textwrap.indent(str(error).expandtabs(4), "  ").strip()) from None
        except RuntimeError as error:  # how DuckDB passes on Ctrl-C
            connection.interrupt()  # closing would wait for the end of the statement
            raise (error.__cause__ if isinstance(error.__cause__, KeyboardInterrupt) else error) from None


def _checked(connection: duckdb.DuckDBPyConnection, sql: str) -> bool:
    """Tell whether the one statement is an EXPLAIN. Raises SettingsError unless it is one, and only reads."""
    try:
        sql.encode()
    except UnicodeEncodeError:
        raise SettingsError("the statement is not UTF-8 text") from None
    statements = [
        # the types that DuckDB makes for a PIVOT come before its SELECT and have no text of their own
        one
        for one in connection.extract_statements(sql)
        if one.query or one.type not in _OF_A_PIVOT
    ]
    if not statements:
        raise SettingsError('there is no statement; write one, for example "from marts.user_monthly_spend limit 5"')
    if len(statements) > 1:
        raise SettingsError(f"these are {len(statements)} statements; `query` runs one")
    (only,) = statements
    if only.type not in _READING:
        raise SettingsError(f"`query` only reads, and this is a statement of the kind {only.type.name}; write a SELECT")
    return bool(only.type == duckdb.StatementType.EXPLAIN)


def _rows(result: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while batch := result.fetchmany(_BATCH):
        yield from batch


def _distinct(names: list[str]) -> list[str]:
    """Return the names with a number behind each that came before, as DuckDB itself does in a subquery."""
    distinct: list[str] = []
    for name in names:
        candidates = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(1)))
        distinct.append(next(one for one in candidates if one not in distinct))
    return distinct


def _print_json(columns: list[str], rows: Iterator[tuple[Any, ...]]) -> None:
    """Print a list of objects, one per line."""
    before = "[\n"
    for row in rows:
        sys.stdout.write(before + json_text(dict(zip(columns, row, strict=True))))
        before = ",\n"
    sys.stdout.write("\n]\n" if before == ",\n" else "[]\n")


def _print_csv(columns: list[str], rows: Iterator[tuple[Any, ...]]) -> None:
    """Print a header and the rows, which a spreadsheet will not calculate; to a terminal, no character it obeys."""
    # only as part of its own line end does the writer quote a carriage return, with which many readers begin a line
    unix = SimpleNamespace(write=lambda line: sys.stdout.write(line.removesuffix("\r\n") + "\n"))
    lines = csv.writer(unix, lineterminator="\r\n")
    shown = visible if sys.stdout.isatty() else str
    lines.writerow([shown(inert(column)) for column in columns])
    lines.writerows([shown(inert(value)) for value in row] for row in rows)


def _print_rows(columns: list[str], rows: list[tuple[Any, ...]]) -> None:
    shown = rows[:_MOST_ROWS]
    print_table(columns, shown)
    if len(rows) > len(shown):
        note(f"The first {_MOST_ROWS} rows; there are more. --csv and --json print all of them.")
    else:
        note("1 row" if len(rows) == 1 else f"{len(rows)} rows")
