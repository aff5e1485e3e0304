"""Pages are kept byte for byte, whatever their layout, and also where strict readers refuse them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.landing.appended import append, cost, costs, counts, dense, page

if TYPE_CHECKING:
    from onelens_claude.landing.fetching import FetchedPull

# verbatim pages


def payloads(connection: Any, pull: FetchedPull) -> list[bytes]:
    found = connection.execute(
        "select encode(payload) from claude_raw.user_cost_report where pull_id = ? order by page_number", [pull.pull_id]
    ).fetchall()
    return [payload for (payload,) in found]


ROW = json.dumps(cost(), separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "between", [b",", b", ", b",\n", b",\r\n  ", b" ,"], ids=["dense", "spaced", "lines", "windows", "odd"]
)
@pytest.mark.parametrize("edge", [b"", b"\n", b" "], ids=["dense", "lines", "spaced"])
def test_a_page_of_any_layout_is_stored_byte_by_byte(connection, spool, between, edge):
    first, last = (
        b'{"data":' + edge + b"[" + edge + between.join(rows) + edge + b"]" + edge + b',"has_more":false}' + edge
        for rows in (dense(costs(0, 300)), dense(costs(300, 300)))
    )
    pull = spool("user_cost_report", first, page(), last)
    append(connection, pull)
    assert payloads(connection, pull) == [first, json.dumps(page()).encode(), last]
    assert connection.execute("select count(*) from claude_raw.user_cost_report_rows").fetchone() == (600,)


@pytest.mark.parametrize(
    "text", ['},{"a', "},{", '}, {"', "\x01", "\\n", "\u2028", "ü" * 3000, "'; drop", "😀" * 1500, "\t"]
)
def test_text_that_looks_like_the_end_of_a_row_is_not_cut(connection, spool, text):
    rows = [cost(model=f"{text}{n}", product=text) for n in range(40)]
    first, last = (json.dumps(page(*part), ensure_ascii=False).encode() for part in (rows[:20], rows[20:]))
    pull = spool("user_cost_report", first, last)
    append(connection, pull)
    assert payloads(connection, pull) == [first, last]
    found = connection.execute("select distinct model from claude_raw.user_cost_report_rows").fetchall()
    assert {model for (model,) in found} == {row["model"] for row in rows}


def test_a_large_page_is_stored_in_parts_and_read_as_one(connection, spool):
    body, last = (b'{"data":[' + b",".join(dense(costs(first, 4000))) + b"]}" for first in (0, 4000))
    pull = spool("user_cost_report", body, last)
    append(connection, pull)
    longest, parts = connection.execute(
        "select max(strlen(part)), count(*) from claude_raw.page_parts where page_number = 1"
    ).fetchone()
    assert longest < 3000 < len(body) / 100 < 100 * parts
    assert payloads(connection, pull) == [body, last]


def test_what_stands_before_the_rows_may_begin_like_them(connection, spool):
    body = b'{"note":"[{","x":[{"starting_at":1}],"data":[' + ROW + b'],"more":[{"starting_at":2}]}'
    pull = spool("user_cost_report", body)
    append(connection, pull)
    assert payloads(connection, pull) == [body]


# legal JSON that strict readers refuse

PAIR, HIGH, LOW = "\\ud83d\\ude00", "\\ud83d", "\\ude00"


@pytest.mark.parametrize(
    ("escaped", "name"),
    [
        (HIGH, "\ufffd"),
        (LOW, "\ufffd"),
        (f"a{HIGH}b{LOW}c", "a\ufffdb\ufffdc"),
        (HIGH + PAIR, "\ufffd\U0001f600"),
        (LOW + HIGH, "\ufffd\ufffd"),
        (PAIR, "\U0001f600"),
        (PAIR.upper().replace("U", "u") + HIGH, "\U0001f600\ufffd"),
        ("\\\\" + HIGH[1:] + LOW, "\\ud83d\ufffd"),
    ],
    ids=[
        "high",
        "low",
        "both apart",
        "high and pair",
        "the wrong way round",
        "pair",
        "upper case",
        "escaped backslash",
    ],
)
@pytest.mark.parametrize("endpoint", ["user_cost_report", "cost_report"])
def test_half_a_surrogate_pair_is_kept_verbatim_and_read_as_the_replacement_character(
    connection, spool, endpoint, escaped, name
):
    row = cost(model="MODEL")
    rows = [row] if endpoint == "user_cost_report" else [
        {"starting_at": row["starting_at"], "ending_at": row["ending_at"], "results": [row]}
    ]  # fmt: skip
    body = json.dumps(page(*rows)).replace("MODEL", escaped).encode()
    pull = spool(endpoint, body)
    append(connection, pull)
    assert connection.execute(f"select model from claude_raw.{endpoint}_rows").fetchall() == [(name,)]
    assert connection.execute(f"select encode(payload) from claude_raw.{endpoint}").fetchall() == [(body,)]


def test_a_byte_order_mark_is_passed_over_and_kept(connection, spool):
    body = b"\xef\xbb\xbf" + json.dumps(page(cost())).encode()
    pull = spool("user_cost_report", body)
    append(connection, pull)
    assert payloads(connection, pull) == [body]
    assert counts(connection)[2] == 1


@pytest.mark.parametrize("length", [99_999, 100_000, 100_001, 250_000])
@pytest.mark.parametrize("count", [2, 11, 33])
def test_long_rows_that_are_equally_long_are_stored(connection, spool, length, count):
    """The first line begins with the list's bracket, the others end with a comma: all are of the same length."""
    empty = len(dense([cost(model="00")])[0])
    rows = dense([cost(model=f"{n:02}".ljust(length - empty - 1 + 2, "x")) for n in range(count)])
    rows[0] = rows[0].replace(b"xx", b"x", 1)
    body = b'{"data":[' + b",".join(rows) + b"]}"
    pull = spool("user_cost_report", body)
    lines = pull.pages[0].path.read_bytes().split(b"\n")
    assert {len(line) for line in lines[:-1]} == {length}
    append(connection, pull)
    assert payloads(connection, pull) == [body]
    assert counts(connection)[2] == count
