"""Text from elsewhere is shown, not obeyed."""

from __future__ import annotations

import unicodedata

import pytest

from onelens_claude import errors
from onelens_claude.visible import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\nlines\r\n", r"two\nlines\r\n"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("\x9b31mred", r"\x9b31mred"),
        ("invoice \u202e00.1$\u202c", r"invoice \u202e00.1$\u202c"),
        ("one\u2028two", r"one\u2028two"),
        ("half \ud83d", r"half \ud83d"),
        ("hidden\U000e0041\u200b", r"hidden\U000e0041\u200b"),
        ("a\tb\x00\x7f\x08", r"a\tb\x00\x7f\x08"),
    ],
)
def test_what_a_terminal_would_obey_becomes_an_escape(text, shown):
    assert visible(text) == shown


@pytest.mark.parametrize("name", ["José Ωmega 王小明", "می‌خواهم", "👩‍💻", "a\u00a0b", "[draft] :warning: \\n"])
def test_what_people_write_stays_as_it_is(name):
    assert visible(name) == name


def test_every_control_character_and_every_direction_is_escaped():
    for number in range(0x110000):
        character = chr(number)
        obeyed = unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} or unicodedata.bidirectional(
            character
        ) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
        assert not obeyed or visible(character) != character, hex(number)


def test_line_breaks_of_our_own_can_be_kept():
    assert visible("first\nsecond\r\x1b", keep="\n") == "first\nsecond\\r\\x1b"


def test_a_message_of_the_api_is_one_line_of_bounded_length_in_its_error():
    forged = "no\nError: acme: everything is fine\x1b[1A"
    error = errors.ForbiddenError(forged, where="acme: users 2026-11-19", status=403, request_id="req_1\nreq_2")
    assert str(error).startswith(
        r"acme: users 2026-11-19: 403 permission_error: no\nError: acme: everything is fine\x1b[1A (request req_1\nreq_2)"
    )
    assert error.reason == r"no\nError: acme: everything is fine\x1b[1A"
    assert error.request_id == r"req_1\nreq_2"
    long = str(errors.ServerError("x" * 100_000, where="acme: users 2026-11-19", status=500))
    assert len(long) < 2_000
    assert "99,000 more characters" in long


def test_a_row_that_is_quoted_in_an_error_cannot_forge_a_line():
    error = errors.InvalidRowError("acme: users: amount '1\n2' is not a decimal", request_id="req_1\x1b")
    assert str(error) == r"acme: users: amount '1\n2' is not a decimal"
    assert error.request_id == r"req_1\x1b"
