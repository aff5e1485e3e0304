"""Servers that never end, or send more than anybody can hold: each is one error, soon and in little memory."""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import itertools
import json
import socket
import ssl
import threading
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from onelens_claude import errors
from onelens_claude.api import bounded, client
from onelens_claude.api.client import AnalyticsClient
from onelens_claude.api.endpoints import ENDPOINTS
from onelens_claude.api.rate_limit import SharedRateLimit
from onelens_claude.api.windows import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TIMEOUT = 1
"""Seconds of one wait, the least the settings allow; a whole answer has five times as long."""
SOON = 2.5 * client._WHOLE_ANSWER * TIMEOUT
"""No measurement: an answer without an end takes for ever."""


@contextlib.contextmanager
def raw_server(talk: Callable[[socket.socket], None], tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Answer each connection by `talk`, after the request's headers arrived; yield the address."""
    listening = socket.create_server(("127.0.0.1", 0))
    is_over = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            received = b""
            while not received.endswith(b"\r\n\r\n"):
                received += connection.recv(65536)
            talk(connection)

    def accept() -> None:
        while not is_over.is_set():
            with contextlib.suppress(OSError):
                connection, _ = listening.accept()
                if tls:
                    connection = tls.wrap_socket(connection, server_side=True)
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        is_over.set()
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()


CERTIFICATE = Path(__file__).with_name("loopback.pem")
"""Of 127.0.0.1 and api.test, signed by itself, with its key: of no use anywhere else."""


@pytest.fixture
def tls(monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Let clients trust the certificate of this server, and nobody else's."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


def drip(connection: socket.socket, text: bytes) -> None:
    """Send a byte at a time, each well within the timeout of one wait, for a minute at most."""
    for byte in itertools.islice(itertools.cycle(text), 120):
        connection.sendall(bytes([byte]))
        time.sleep(TIMEOUT / 2)


def slow_body(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    drip(connection, b" ")


def slow_body_without_a_length(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    drip(connection, b" ")


def slow_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nx-slow: ")
    drip(connection, b"a")


def endless_chunks(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    for _ in range(64 * 1024):  # four gigabytes
        connection.sendall(chunk)


def compressed_gigabyte(connection: socket.socket) -> None:
    body = gzip.compress(b" " * 2**20, compresslevel=9) * 1024
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body) + body)


def deep(connection: socket.socket) -> None:
    body = b'{"data":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)


def deep_error(connection: socket.socket) -> None:
    body = b'{"error":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    connection.sendall(b"HTTP/1.1 404 Not Found\r\ncontent-length: %d\r\n\r\n" % len(body) + body)


def pages_for_ever(*lists: list[dict[str, str]]) -> Callable[[socket.socket], None]:
    """Answer with these lists of rows in turn, each time under a cursor that was never there before."""
    numbers = itertools.count()

    def talk(connection: socket.socket) -> None:
        number = next(numbers)
        page = {"data": lists[number % len(lists)], "has_more": True, "next_page": f"page_{number}"}
        body = json.dumps(page).encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    return talk


ROW = {"starting_at": "2026-11-01T00:00:00Z"}


@pytest.fixture
def ask(tmp_path: Path, set_now: Callable[[str], None]) -> Callable[[str], None]:
    """Read one query of the server to its end."""
    set_now("2026-11-20T12:00:00Z")

    def read(base_url: str) -> None:
        reader = AnalyticsClient(
            organization_id="acme",
            base_url=base_url,
            api_key=lambda: "sk-ant-api01-acme",
            rate_limit=SharedRateLimit("acme", base_url, 100_000, folder=tmp_path),
            attempts=3,
            timeout_seconds=TIMEOUT,
        )
        endpoint = ENDPOINTS["user_cost_report"]
        reader.read_all(endpoint, endpoint.queries[0], Window(day(1), day(2)), lambda _number, _page: None)

    return read


def day(number: int) -> dt.date:
    return dt.date(2026, 11, number)


@pytest.mark.parametrize(
    ("talk", "reason"),
    [
        (slow_body, "it did not end within 5 seconds"),
        (slow_body_without_a_length, "it did not end within 5 seconds"),
        (slow_headers, "it did not end within 5 seconds"),
        (endless_chunks, "it has more than 128 MiB"),
        (compressed_gigabyte, "it has more than 128 MiB"),
        (deep, "nested too deeply"),
        (pages_for_ever([ROW]), "the same page came again under a new cursor"),
        (pages_for_ever([ROW], [ROW, ROW]), "the same page came again under a new cursor"),
        (pages_for_ever([]), "more than 100 pages without a row"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_has_no_end_is_one_error_of_that_organisation_and_endpoint(ask, talk, reason):
    began = time.monotonic()
    with raw_server(talk) as base_url, pytest.raises(errors.MalformedResponseError) as refused:
        ask(base_url)
    assert time.monotonic() - began < SOON
    assert refused.value.error_type == "malformed_response"
    assert str(refused.value).startswith("acme: user_cost_report 2026-11-01: ")
    assert reason in str(refused.value)


def test_an_error_that_is_nested_too_deeply_is_still_told_by_its_status(ask):
    with raw_server(deep_error) as base_url, pytest.raises(errors.NotFoundError, match="404 not_found_error: HTTP 404"):
        ask(base_url)


def test_no_more_is_held_in_memory_than_an_answer_may_have(ask):
    tracemalloc.start()
    try:
        with raw_server(compressed_gigabyte) as base_url, pytest.raises(errors.MalformedResponseError):
            ask(base_url)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * bounded.MOST_BYTES


def test_pages_end_after_the_most_there_can_be(ask, monkeypatch):
    monkeypatch.setattr(client, "_MOST_PAGES", 20)
    numbers = itertools.count()

    def talk(connection: socket.socket) -> None:
        number = next(numbers)
        body = json.dumps({"data": [{"n": number}], "has_more": True, "next_page": f"page_{number}"}).encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    with raw_server(talk) as base_url, pytest.raises(errors.MalformedResponseError, match="more than 20 pages"):
        ask(base_url)
    assert next(numbers) == 21


def test_an_answer_that_is_only_slow_arrives(ask):
    def talk(connection: socket.socket) -> None:
        body = json.dumps({"data": [], "has_more": False, "next_page": None}).encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body))
        for part in (body[:20], body[20:]):
            time.sleep(TIMEOUT * 0.8)
            connection.sendall(part)

    with raw_server(talk) as base_url:
        ask(base_url)


@pytest.mark.parametrize("talk", [slow_body, slow_body_without_a_length, slow_headers])
def test_over_tls_too_an_answer_ends_in_time(ask, tls, talk):
    began = time.monotonic()
    with raw_server(talk, tls) as base_url, pytest.raises(errors.MalformedResponseError, match="within 5 seconds"):
        ask(base_url)
    assert time.monotonic() - began < SOON


def test_over_tls_a_page_is_read_and_an_unknown_certificate_is_refused(ask, tls, monkeypatch):
    def talk(connection: socket.socket) -> None:
        body = json.dumps({"data": [], "has_more": False, "next_page": None}).encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    with raw_server(talk, tls) as base_url:
        ask(base_url)
        monkeypatch.delenv("REQUESTS_CA_BUNDLE")
        with pytest.raises(errors.TransportError, match="certificate"):
            ask(base_url)
