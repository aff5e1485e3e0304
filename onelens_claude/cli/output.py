"""What the command line prints: data on stdout, progress and errors on stderr, colour only where it is wanted."""

from __future__ import annotations

import datetime as dt
import json
import sys
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from onelens_claude.orchestration.resources import OnProgress

_WIDTH_WHEN_PIPED = 200
_SPEED_SECONDS = 300
stdout = Console(soft_wrap=False, highlight=False, width=None if sys.stdout.isatty() else _WIDTH_WHEN_PIPED)
stderr = Console(stderr=True, highlight=False)

JSON_OPTION = typer.Option(False, "--json", help="Print JSON instead of a table; amounts are strings.")


def print_json(value: Any) -> None:
    """Print JSON with decimals and dates as strings, so that no amount becomes a float."""
    typer.echo(json.dumps(value, default=_plain, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> None:
    """Print rows; numbers are shown exactly as they are stored, and right-aligned."""
    rows = list(rows)
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for number, column in enumerate(columns):
        is_number = any(_is_number(row[number]) for row in rows)
        table.add_column(column, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(text(value) for value in row))
    stdout.print(table)


def text(value: Any) -> str:
    """Return a value for people: empty for null, a decimal in full."""
    if value is None:
        return ""
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def usd(cents: Decimal | None) -> str:
    """Return cents as dollars with every digit there is, at least two: `$412.80`."""
    if cents is None:
        return "unknown"
    whole, _, fraction = f"{cents * Decimal('0.01'):f}".partition(".")
    return f"${int(whole):,}.{fraction.rstrip('0').ljust(2, '0')}" if cents >= 0 else f"-{usd(-cents)}"


@contextmanager
def progress_bars(planned: Mapping[str, int] | None = None, console: Console = stderr) -> Iterator[OnProgress | None]:
    """Yield a callback that draws one bar per endpoint on `console`; nothing if that is not a terminal.

    `planned` requests per endpoint add one more bar at the top, with the time left for all of them.
    """
    if not console.is_terminal:
        yield None
        return
    planned = planned or {}
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=False),
    )
    # The rate limit makes the speed even; over a short period, the time left would jump with each batch.
    # Dagster reads stdout and stderr by their descriptors, so the bars leave both alone.
    with Progress(
        *columns,
        console=console,
        transient=True,
        speed_estimate_period=_SPEED_SECONDS,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as progress:
        everything = progress.add_task("all requests", total=sum(planned.values())) if planned else None
        tasks: dict[str, Any] = {}
        requests = dict(planned)
        asked = dict.fromkeys(planned, 0)

        def on_progress(endpoint: str, done: int, total: int, pages: int) -> None:
            if total and endpoint not in tasks:
                tasks[endpoint] = progress.add_task(endpoint, total=total)
            if total:
                progress.update(tasks[endpoint], completed=done, total=total)
            if everything is not None and endpoint in planned:
                asked[endpoint] = pages
                # where row counts were unknown, the finished pulls show what the others will take
                requests[endpoint] = max(planned[endpoint], pages, round(pages / done * total) if done else 0)
                progress.update(everything, completed=sum(asked.values()), total=sum(requests.values()))

        yield on_progress


def print_reconciliation(lines: list[dict[str, Any]]) -> None:
    """Print one line per organisation."""
    for line in lines:
        verdict = "exact" if line["adds_up"] and not line["days_not_exact"] else "NOT exact"
        note(
            f"{line['organization_id']}: {line['first_day']} to {line['last_day']}: total {usd(line['total_cents'])} "
            f"= users {usd(line['user_cents'])} + unattributed {usd(line['unattributed_cents'])}: {verdict}"
            + (f", {line['days_not_exact']} days not exact" if line["days_not_exact"] else "")
        )


def note(message: str) -> None:
    """Print a message on stderr."""
    stderr.print(message, markup=False, soft_wrap=True)


def _plain(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, dt.date | dt.datetime):
        return value.isoformat()
    return str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal | float) or (
        isinstance(value, str) and value.replace(",", "").replace(".", "", 1).removeprefix("-").isdigit()
    )
