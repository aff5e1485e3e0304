"""How the API is reached: by GET alone, over verified TLS 1.2 at least, and through proxies as requests' users know them."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import TYPE_CHECKING

import pytest
import requests

from onelens_claude import errors
from onelens_claude.api.bounded import BoundedSession, MessageSession
from tests.api.asking import DAY, KEY, PAGE, read, scripted
from tests.api.test_bounded import CERTIFICATE, raw_server

if TYPE_CHECKING:
    from collections.abc import Iterator


def page(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(PAGE) + PAGE)


@pytest.fixture
def tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "post"])
def test_the_clients_session_can_send_nothing_but_get(connect, method):
    with scripted((200, {}, PAGE)) as (base_url, asked):
        session = connect(base_url)._session
        with pytest.raises(ValueError, match=f"a session for GET cannot {method.upper()}"):
            session.request(method, base_url, timeout=5)
        with pytest.raises(ValueError, match="a session for GET cannot"):
            session.send(requests.Request(method, base_url).prepare())
    assert asked == []
    assert not hasattr(BoundedSession, "post_whole")
    assert MessageSession._method == "POST"


def test_a_server_of_an_older_tls_is_refused(connect, tls, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
    tls.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        tls.minimum_version = tls.maximum_version = ssl.TLSVersion.TLSv1_1
    with raw_server(page, tls) as base_url, pytest.raises(errors.TransportError, match=r"(?i)version|protocol"):
        read(connect(base_url, attempts=1), window=DAY)


@contextlib.contextmanager
def proxy() -> Iterator[tuple[str, bytearray]]:
    """Connect people, whatever host they want, to this machine; yield the address and everything that was said to it."""
    listening = socket.create_server(("127.0.0.1", 0))
    heard = bytearray()

    def pass_on(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                heard.extend(data)
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    def serve(client: socket.socket) -> None:
        request = client.recv(65536)
        heard.extend(request)
        port = request.split()[1].decode().rpartition(":")[2]
        with client, socket.create_connection(("127.0.0.1", int(port)), timeout=10) as server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=pass_on, args=(server, client), daemon=True)
            back.start()
            pass_on(client, server)
            back.join(10)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", heard
    finally:
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()


def test_over_a_proxy_the_key_travels_inside_tls(connect, tls, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
    monkeypatch.delenv("NO_PROXY", raising=False)
    with proxy() as (address, heard), raw_server(page, tls) as base_url:
        monkeypatch.setenv("HTTPS_PROXY", address)
        port = base_url.rpartition(":")[2]
        read(connect(f"https://api.test:{port}", attempts=1), window=DAY)
        with pytest.raises(errors.TransportError, match="certificate"):
            read(connect(f"https://another.test:{port}", attempts=1), window=DAY)
    assert heard.startswith(f"CONNECT api.test:{port} ".encode())
    assert KEY.encode() not in heard


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_loopback_address_is_asked_directly_whatever_proxies_there_are(connect, monkeypatch, variable):
    monkeypatch.delenv("NO_PROXY", raising=False)
    with proxy() as (address, heard), scripted((200, {}, PAGE)) as (base_url, asked):
        monkeypatch.setenv(variable, address)
        read(connect(base_url), window=DAY)
    assert len(asked) == 1
    assert not heard


@pytest.mark.parametrize(
    "location", ["http://127.0.0.1:1/", "https://elsewhere.invalid/", "//elsewhere.invalid/", "/v1"]
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(connect, status, location):
    with (
        scripted((status, {"location": location}, b"")) as (base_url, asked),
        pytest.raises(errors.MalformedResponseError, match=f"{status} malformed_response: HTTP {status}"),
    ):
        read(connect(base_url), window=DAY)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, r"there is no .*bundle\.pem"), (b"", "has no certificates in PEM form"), (b"\0x", "has no certificates")],
)
@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_bundle_that_cannot_be_used_is_a_settings_error_with_its_name(
    connect, monkeypatch, tmp_path, variable, content, reason
):
    for one in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(one, raising=False)
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_bytes(content)
    monkeypatch.setenv(variable, str(bundle))
    with pytest.raises(errors.SettingsError, match=rf"^environment variable {variable}: .*{reason}"):
        read(connect("https://127.0.0.1:9"), window=DAY)
    with scripted((200, {}, PAGE)) as (base_url, _):
        read(connect(base_url), window=DAY)
