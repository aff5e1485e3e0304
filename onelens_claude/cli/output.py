"""What the command line prints: data on stdout, progress and errors on stderr, colour only where it is wanted."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
import sys
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import typer
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from onelens_claude.visible import OBEYED, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from onelens_claude.orchestration.resources import OnProgress

_WIDTH_WHEN_PIPED = 200
_NARROWEST = 24
"""Columns of the screen that a text may be folded to; numbers and dates are never folded."""
_SPEED_SECONDS = 300
stdout = Console(
    soft_wrap=False,
    highlight=False,
    markup=False,
    emoji=False,
    width=None if sys.stdout.isatty() else _WIDTH_WHEN_PIPED,
)
stderr = Console(stderr=True, highlight=False, markup=False, emoji=False)

JSON_OPTION = typer.Option(False, "--json", help="Print JSON instead of a table; amounts are strings.")


def print_json(value: Any) -> None:
    """Print JSON with decimals and dates as strings, so that no amount becomes a float."""
    sys.stdout.write(json_text(value, indent=2) + "\n")


def json_text(value: Any, *, indent: int | None = None) -> str:
    """Return valid JSON in the characters of stdout; what a terminal would obey is escaped, which is the same JSON."""
    is_unicode = "utf" in (getattr(sys.stdout, "encoding", None) or "utf-8").lower()
    try:
        dumped = json.dumps(value, default=_plain, indent=indent, ensure_ascii=not is_unicode, allow_nan=False)
    except (ValueError, TypeError):  # NaN and infinity have no JSON, nor have keys that are no strings
        dumped = json.dumps(_with_json_types(value), default=_plain, indent=indent, ensure_ascii=not is_unicode)
    return escaped_json(dumped)


def escaped_json(dumped: str) -> str:
    """Return the same JSON with escapes for what a terminal would obey, but for line breaks."""
    return OBEYED.sub(lambda found: found[0] if found[0] == "\n" else _json_escape(found[0]), dumped)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> None:
    """Print rows, numbers exactly as they are stored; where the screen is too narrow, one field per line."""
    cells = [[_shown(text(value)) for value in row] for row in rows]
    headers = [_shown(column) for column in columns]
    are_numbers = [bool(cells) and all(_is_number(row[number]) for row in cells) for number in range(len(headers))]
    widths = _widths(headers, cells, are_numbers)
    if widths is None:
        _print_records(headers, cells, title)
        return
    folded = [row for row in cells if any(cell_len(cell) > width for cell, width in zip(row, widths, strict=True))]
    # where most rows run on, only a line shows where the next begins
    has_lines = 2 * len(folded) > len(cells)
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold", show_lines=has_lines)
    for header, is_number, width in zip(headers, are_numbers, widths, strict=True):
        table.add_column(header, justify="right" if is_number else "left", overflow="fold", width=width)
    for row in cells:
        table.add_row(*row)
    stdout.print(table)


def _shown(value: str) -> str:
    """Return a text as this terminal can show it, so that its width is known."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return visible(value).encode(encoding, "backslashreplace").decode(encoding)


def _widths(headers: list[str], cells: list[list[str]], are_numbers: list[bool]) -> list[int] | None:
    """Return how wide each column is; null where the screen is too narrow for all of them side by side."""
    wanted, least = [], []
    for number, header in enumerate(headers):
        longest = max((cell_len(row[number]) for row in cells), default=0)
        wanted.append(max(longest, cell_len(header)))
        folded = longest if are_numbers[number] else min(longest, _NARROWEST)
        least.append(max(folded, *(cell_len(word) for word in header.split() or [""]), 1))
    spare = stdout.width - sum(least) - 3 * len(headers) - 1
    if spare < 0:
        return None
    widths = []
    for most, width in zip(wanted, least, strict=True):
        more = min(spare, most - width)
        spare -= more
        widths.append(width + more)
    return widths


def _print_records(headers: list[str], cells: list[list[str]], title: str | None) -> None:
    """Print one field per line; long values run on in the next line of the screen."""
    if title:
        stdout.print(title, style="bold")
    width = max(cell_len(header) for header in headers)
    for number, row in enumerate(cells, start=1):
        stdout.print(f"-- row {number} --", style="bold")
        for header, cell in zip(headers, row, strict=True):
            stdout.print(f"{set_cell_size(header, width)}  {cell}".rstrip(), soft_wrap=True)


def text(value: Any) -> str:
    """Return a value for people and CSV: empty for null, a decimal in full, lists and structures as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return f"{value:f}"
    if value is None:
        return ""
    if isinstance(value, bool | list | tuple | dict):
        return json.dumps(_with_json_types(value), default=_plain, ensure_ascii=False)
    return value.hex() if isinstance(value, bytes) else str(value)


_FORMULA = re.compile(r"[=@\t\r\n\uff1d\uff0b\uff0d\uff20]|[+-](?!\d+(?:\.\d+)?\Z)")
"""How a text begins that a spreadsheet takes for a formula; the wide forms count in East Asian ones."""


def inert(value: Any) -> str:
    """Return a value as text, with an apostrophe before a text that is a formula; a number stays a number."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else text(value)


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


def print_reconciliation(lines: list[dict[str, Any]], console: Console = stderr) -> None:
    """Print one line per organisation."""
    for line in lines:
        verdict = "exact" if line["adds_up"] and not line["days_not_exact"] else "NOT exact"
        console.print(
            f"{line['organization_id']}: {line['first_day']} to {line['last_day']}: total {usd(line['total_cents'])} "
            f"= users {usd(line['user_cents'])} + unattributed {usd(line['unattributed_cents'])}: {verdict}"
            + (f", {line['days_not_exact']} days not exact" if line["days_not_exact"] else ""),
            soft_wrap=True,
        )


def note(message: str, *, style: str | None = None) -> None:
    """Print a message on stderr; its own line breaks stay."""
    stderr.print(visible(message, keep="\n"), style=style, soft_wrap=True)


def _plain(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)


def _with_json_types(value: Any) -> Any:
    """Return the value with strings where JSON has no word for it; null would say that it is not known."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key if isinstance(key, str) else text(key): _with_json_types(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_with_json_types(one) for one in value]
    return value


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def _is_number(cell: str) -> bool:
    return not cell or cell.removesuffix(" %").removeprefix("-").replace(",", "").replace(".", "", 1).isdigit()
