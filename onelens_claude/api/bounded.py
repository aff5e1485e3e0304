"""One request whose answer is bounded in time and size, however it arrives, and that goes nowhere it should not.

The timeouts of requests are of one wait for the network: a byte a second never ends, and a small compressed body can
become gigabytes. Here a timer shuts the connection down when the time for the whole answer is over, headers included,
and reading stops at the most bytes an answer may have. TLS is 1.2 at least, and certificates are verified; proxies and
bundles come from the environment, as of any user of requests. No redirect is followed, and a loopback address is asked
directly: through a proxy, a key would travel in clear.

What is here: the session and its limits. What to add here: another limit of one answer. What must not go here: which
answers are good (`answers.py`), and what is tried again (`client.py`).
"""

from __future__ import annotations

import logging
import os
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from weakref import WeakSet

import requests
from requests.adapters import HTTPAdapter

from onelens_claude.api.endpoints import LOOPBACK
from onelens_claude.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from urllib3 import PoolManager
    from urllib3.connection import HTTPConnection

MOST_BYTES = 128 * 1024 * 1024
"""Of one decoded answer; a page of 1,000 rows has about three million."""
_CHUNK_BYTES = 64 * 1024
_NO_PROXIES: dict[str, Any] = dict.fromkeys(("http", "https", "all"))
_TLS: dict[str, Any] = {"ssl_minimum_version": ssl.TLSVersion.TLSv1_2}
_HEADERS_QUOTED = "Failed to parse headers"
# a warning of urllib3 that quotes what a server sent, where it may have repeated our own headers
logging.getLogger("urllib3.connection").addFilter(lambda record: not record.msg.startswith(_HEADERS_QUOTED))


class BoundExceededError(Exception):
    """An answer took more time or bytes than it may; the message says which."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer, decoded."""

    status_code: int
    reason: str
    headers: Mapping[str, str]
    content: bytes


class BoundedSession(requests.Session):
    """A session of one thread, whose answers end in time; it can only GET."""

    _method = "GET"

    def __init__(self) -> None:
        super().__init__()
        self._open = _Open()
        adapter = _RecordingAdapter(self._open)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def send(self, request: requests.PreparedRequest, **given: Any) -> requests.Response:
        """Send what the session is for, and nothing else: every way to ask passes here."""
        if request.method != self._method:
            raise ValueError(f"a session for {self._method} cannot {request.method}")
        return super().send(request, **given)

    def get_whole(
        self, url: str, *, headers: Mapping[str, str], timeout: tuple[float, float], seconds: float
    ) -> Answer:
        """Return the whole answer. `timeout` is of one wait, `seconds` of everything.

        Raises BoundExceededError, and what requests and urllib3 raise about the network.
        """
        return self._whole(url, headers=headers, timeout=timeout, seconds=seconds)

    def _whole(self, url: str, *, seconds: float, **given: Any) -> Answer:
        with self._deadline(seconds) as is_over:
            try:
                response = self.request(
                    self._method,
                    url,
                    allow_redirects=False,  # a redirect would carry the key elsewhere
                    stream=True,
                    proxies=_NO_PROXIES if urlsplit(url).hostname in LOOPBACK else None,
                    **given,
                )
                content = _read(response)
            except Exception:
                if is_over.is_set():
                    raise BoundExceededError(f"it did not end within {seconds:g} seconds") from None
                raise
        if is_over.is_set():
            raise BoundExceededError(f"it did not end within {seconds:g} seconds")
        return Answer(response.status_code, response.reason or "", response.headers, content)

    @contextmanager
    def _deadline(self, seconds: float) -> Iterator[threading.Event]:
        """Shut the session's connections down when the time is over, and say so by the event."""
        is_over = threading.Event()

        def shut_down() -> None:
            is_over.set()
            for opened in self._open.sockets():
                with suppress(OSError):
                    # not SSLSocket's own: it would take the session away from the thread that reads
                    socket.socket.shutdown(opened, socket.SHUT_RDWR)

        timer = threading.Timer(seconds, shut_down)
        timer.daemon = True
        timer.start()
        try:
            yield is_over
        finally:
            timer.cancel()


class MessageSession(BoundedSession):
    """The same for what is sent to somebody else than the API; it can only POST."""

    _method = "POST"

    def post_whole(
        self, url: str, *, data: bytes, headers: Mapping[str, str], timeout: tuple[float, float], seconds: float
    ) -> Answer:
        """Send a body and return the whole answer, within the same bounds."""
        return self._whole(url, data=data, headers=headers, timeout=timeout, seconds=seconds)


def _read(response: requests.Response) -> bytes:
    content = bytearray()
    with response:
        for chunk in response.raw.stream(_CHUNK_BYTES, decode_content=True):
            content += chunk
            if len(content) > MOST_BYTES:
                raise BoundExceededError(f"it has more than {MOST_BYTES // 2**20} MiB")
    return bytes(content)


def check_bundle() -> None:
    """Raise SettingsError where the environment names a bundle of certificates that cannot be used."""
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        named = os.environ.get(variable)
        if not named:
            continue
        kind = "capath" if Path(named).is_dir() else "cafile"
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(**{kind: named})
        except FileNotFoundError:
            raise SettingsError(f"environment variable {variable}: there is no {named}") from None
        except ssl.SSLError:
            raise SettingsError(f"environment variable {variable}: {named} has no certificates in PEM form") from None
        except OSError as error:
            raise SettingsError(f"environment variable {variable}: {named}: {error.strerror}") from None
        return  # requests looks at the first one alone


class _Open:
    """What a session has open, so that a deadline can reach it while it is in use."""

    def __init__(self) -> None:
        self._connections: WeakSet[HTTPConnection] = WeakSet()
        self._sockets: WeakSet[socket.socket] = WeakSet()

    def connecting(self, connection: HTTPConnection) -> None:
        """Note a connection before it is there: a proxy's answer and the handshake can be slow too."""
        self._connections.add(connection)

    def connected(self, connection: HTTPConnection) -> None:
        """Note its socket, which the connection forgets when a response without a length takes it over."""
        self._sockets.add(connection.sock)

    def sockets(self) -> list[socket.socket]:
        """Return the sockets, those that still connect included."""
        connecting = [one.sock for one in list(self._connections) if one.sock is not None]
        return [*self._sockets, *connecting]


class _RecordingAdapter(HTTPAdapter):
    """Notes each connection it opens, those through a proxy too."""

    def __init__(self, opened: _Open) -> None:
        self._opened = opened
        super().__init__(pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **{**options, **_TLS})
        self._record(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        is_new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **{**options, **_TLS})
        if is_new:
            self._record(manager)
        return manager

    def _record(self, manager: PoolManager) -> None:
        """Let the manager's own kinds of connection, which a SOCKS proxy has too, tell of themselves."""
        manager.pool_classes_by_scheme = {
            scheme: self._recording(pool) for scheme, pool in manager.pool_classes_by_scheme.items()
        }

    def _recording(self, pool: Any) -> Any:
        opened, kind = self._opened, pool.ConnectionCls

        def connect(connection: HTTPConnection) -> None:
            opened.connecting(connection)
            kind.connect(connection)
            opened.connected(connection)

        recorded = type(kind.__name__, (kind,), {"connect": connect})
        return type(pool.__name__, (pool,), {"ConnectionCls": recorded})
