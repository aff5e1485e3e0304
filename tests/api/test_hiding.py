"""A key that somebody repeats, however it is spelled and wherever it stands, is in nothing that is shown or kept."""

from __future__ import annotations

import json
import logging
import re
from http.client import responses
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from onelens_claude import errors
from onelens_claude.api.hiding import repeats_key, without_key
from tests.api.asking import DAY, read
from tests.api.test_bounded import raw_server

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

KEY = "sk-ant-api01-A/b+c"
SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "json": lambda key: "".join(f"\\u{ord(one):04x}" for one in key),
    "json in part": lambda key: key.replace("a", "\\u0061").replace("/", "\\/"),
    "json in capitals": lambda key: key.replace("-", "\\u002D"),
    "json in json": lambda key: "".join(f"\\\\u{ord(one):04x}" for one in key),
    "an address": lambda key: quote(key, safe=""),
    "an address, all of it": lambda key: "".join(f"%{ord(one):02X}" for one in key),
    "html": lambda key: "".join(f"&#{ord(one)};" for one in key),
    "html in hexadecimal": lambda key: "".join(f"&#x{ord(one):X};" for one in key),
}


@pytest.mark.parametrize("spelled", SPELLINGS.values(), ids=SPELLINGS)
def test_a_key_is_found_in_every_spelling(spelled):
    assert without_key(f"one {spelled(KEY)} two", KEY) == "one [key] two"
    assert without_key("one \ud800 two", KEY) == "one \ud800 two"


def test_a_page_is_looked_through_for_what_json_makes_of_a_key():
    names = json.dumps(["R&D", "é", "ß", KEY[:-1]]).encode()
    assert not repeats_key(names, KEY)
    for name in ("plain", "json", "json in part", "json in capitals"):
        assert repeats_key(names + SPELLINGS[name](KEY).encode(), KEY)


def answering(status: int, body: str, *, reason: str = "", headers: str = "") -> Callable[[socket.socket], None]:
    def talk(connection: socket.socket) -> None:
        head = f"HTTP/1.1 {status} {reason or responses[status]}\r\ncontent-length: {len(body)}\r\n{headers}"
        connection.sendall(f"{head}connection: close\r\n\r\n{body}".encode())

    return talk


def echoes(key: str) -> dict[str, Callable[[socket.socket], None]]:
    """Return what a server may say, each with the key in another place."""
    page = '{"data": [%s], "has_more": %s, "next_page": "%s", "data_refreshed_at": "%s"}'
    stamp = "2026-11-18T08:00:00Z"
    error = '{"type": "error", "error": {"type": "%s", "message": "%s"}, "request_id": "%s"}'
    plain = error % ("api_error", "no", "req_1")
    return {
        "message": answering(400, error % ("invalid_request_error", f"bad {key}", "req_1")),
        "error type": answering(400, error % (key, "no", "req_1")),
        "request id": answering(400, error % ("invalid_request_error", "no", f"req_{key}")),
        "header": answering(500, "{}", headers=f"request-id: {key}\r\n"),
        "reason": answering(502, "<html/>", reason=f"Bad {key}"),
        "status line": lambda connection: connection.sendall(f"HTTP/{key} 200 OK\r\n\r\n".encode()),
        "broken header": answering(500, plain, headers=f"x-one: 1\r\n{key}\r\n no: {key}\r\n"),
        "chunk": lambda connection: connection.sendall(
            f"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{key}\r\n".encode()
        ),
        "redirect": answering(302, "", headers=f"location: https://elsewhere.invalid/{key}\r\n"),
        "refusal": answering(401, error % ("authentication_error", f"x-api-key {key}", "req_1")),
        "firewall": answering(403, f"<html>{key}</html>", reason=key),
        "row": answering(200, page % (f'{{"name": "{key}"}}', "false", "", stamp)),
        "cursor": answering(200, page % ("", "true", key, stamp)),
        "stamp": answering(200, page % ("", "false", "", key)),
        "web page": answering(200, f"<html>{key}</html>"),
    }


@pytest.mark.parametrize("place", echoes(KEY))
def test_a_server_that_repeats_the_key_does_not_make_us_repeat_it(connect, caplog, place):
    caplog.set_level(logging.DEBUG)
    # in a row, the escapes of an address are a text like any other
    for name in ("plain", "json") if place == "row" else ("plain", "json", "an address, all of it"):
        caplog.clear()
        with raw_server(echoes(SPELLINGS[name](KEY))[place]) as base_url, pytest.raises(errors.ApiError) as raised:
            read(connect(base_url, KEY, attempts=1), window=DAY)
        shown = f"{raised.value} {raised.value!r} {vars(raised.value)} {caplog.text}"
        assert without_key(shown, KEY) == shown, name


def test_the_request_id_of_a_good_page_is_kept_without_the_key(connect):
    page = '{"data": [], "has_more": false, "next_page": null}'
    with raw_server(answering(200, page, headers=f"request-id: req_{KEY}\r\n")) as base_url:
        (one,) = read(connect(base_url, KEY), window=DAY)
    assert one.request_id == "req_[key]"


def test_a_proxys_password_is_in_no_error(connect, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://user:pass-word@[no-address")
    with pytest.raises(errors.TransportError) as raised:
        read(connect("https://api.invalid", attempts=1), window=DAY)
    assert not re.search("pass-word", f"{raised.value} {vars(raised.value)}")
