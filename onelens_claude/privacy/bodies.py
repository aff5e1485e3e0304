"""Taking rows out of the stored pages: what stays is the text that came, byte for byte.

What is here: one page's list of rows, row by row, and writing it back. What to add here: another way to choose rows.
What must not go here: which rows have to go (`retention.py`, `erasure.py`), the typed rows of `<endpoint>_rows`.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import duckdb

_PART_CHARACTERS = 700
"""As landing writes them: text in pieces of about this length compresses like whole pages."""
_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


def rows_with_text(listed: str) -> Iterator[tuple[Any, str]]:
    """Yield each element of a JSON list with its own text."""
    at = _after_space(listed, listed.index("[") + 1)
    while listed[at] != "]":
        row, end = _DECODER.raw_decode(listed, at)
        yield row, listed[at:end]
        at = _after_space(listed, end)
        if listed[at] == ",":
            at = _after_space(listed, at + 1)


def keep_rows(connection: duckdb.DuckDBPyConnection, pull_ids: Sequence[str], is_kept: Callable[[Any], bool]) -> int:
    """Take every row for which `is_kept` is false out of the pages of these pulls; return how many went.

    To be called inside a transaction. One page at a time is in memory.
    """
    pages = connection.execute(
        "select pull_id, page_number from claude_raw.pages where pull_id in (select unnest($ids)) order by all",
        {"ids": list(pull_ids)},
    ).fetchall()
    return sum(_keep_rows_of_page(connection, pull_id, number, is_kept) for pull_id, number in pages)


def change_rows(
    connection: duckdb.DuckDBPyConnection, pages: Sequence[tuple[str, int]], change: Callable[[bytes], bytes]
) -> None:
    """Write the list of rows of each page (pull id and number) as `change` returns it.

    To be called inside a transaction. One page at a time is in memory.
    """
    for pull_id, number in pages:
        listed = _text_of_page(connection, pull_id, number)
        changed = change(listed.encode()).decode()
        if changed != listed:
            _write_page(connection, pull_id, number, changed)


def _keep_rows_of_page(
    connection: duckdb.DuckDBPyConnection, pull_id: str, page_number: int, is_kept: Callable[[Any], bool]
) -> int:
    listed = list(rows_with_text(_text_of_page(connection, pull_id, page_number)))
    kept = [text for row, text in listed if is_kept(row)]
    if len(kept) < len(listed):
        _write_page(connection, pull_id, page_number, f"[{','.join(kept)}]")
    return len(listed) - len(kept)


def _text_of_page(connection: duckdb.DuckDBPyConnection, pull_id: str, page_number: int) -> str:
    parts = connection.execute(
        "select part from claude_raw.page_parts where pull_id = ? and page_number = ? order by part_number",
        [pull_id, page_number],
    ).fetchall()
    return "".join(part for (part,) in parts)


def _write_page(connection: duckdb.DuckDBPyConnection, pull_id: str, page_number: int, listed: str) -> None:
    connection.execute(
        "delete from claude_raw.page_parts where pull_id = ? and page_number = ?", [pull_id, page_number]
    )
    connection.execute(
        """insert into claude_raw.page_parts
        select $pull_id, $page_number, part_number, part
        from (select unnest($parts::varchar[]) as part, unnest(range(len($parts))) as part_number)""",
        {"pull_id": pull_id, "page_number": page_number, "parts": _parts(listed)},
    )


def _parts(text: str) -> list[str]:
    return [text[start : start + _PART_CHARACTERS] for start in range(0, len(text), _PART_CHARACTERS)]


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
