"""One request whose answer is bounded in time and size, however it arrives.

The timeouts of requests are of one wait for the network: a byte a second never ends, and a small compressed body can
become gigabytes. Here a timer shuts the connection down when the time for the whole answer is over, headers included,
and reading stops at the most bytes an answer may have.

What is here: the session and its limits. What to add here: another limit of one answer. What must not go here: which
answers are good (`answers.py`), and what is tried again (`client.py`).
"""

from __future__ import annotations

import logging
import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST_BYTES = 128 * 1024 * 1024
"""Of one decoded answer; a page of 1,000 rows has about three million."""
_CHUNK_BYTES = 64 * 1024
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
    """A session of one thread, whose answers end in time."""

    def __init__(self) -> None:
        super().__init__()
        self._open = _Open()
        adapter = _RecordingAdapter(self._open)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def get_whole(
        self, url: str, *, headers: Mapping[str, str], timeout: tuple[float, float], seconds: float
    ) -> Answer:
        """Return the whole answer. `timeout` is of one wait, `seconds` of everything.

        Raises BoundExceededError, and what requests and urllib3 raise about the network.
        """
        return self._whole("GET", url, headers=headers, timeout=timeout, seconds=seconds)

    def post_whole(
        self, url: str, *, data: bytes, headers: Mapping[str, str], timeout: tuple[float, float], seconds: float
    ) -> Answer:
        """Send a body and return the whole answer, within the same bounds."""
        return self._whole("POST", url, data=data, headers=headers, timeout=timeout, seconds=seconds)

    def _whole(self, method: str, url: str, *, seconds: float, **given: Any) -> Answer:
        with self._deadline(seconds) as is_over:
            try:
                # a redirect would carry the key elsewhere
                response = self.request(method, url, allow_redirects=False, stream=True, **given)
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


def _read(response: requests.Response) -> bytes:
    content = bytearray()
    with response:
        for chunk in response.raw.stream(_CHUNK_BYTES, decode_content=True):
            content += chunk
            if len(content) > MOST_BYTES:
                raise BoundExceededError(f"it has more than {MOST_BYTES // 2**20} MiB")
    return bytes(content)


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
    """Notes each connection it opens."""

    def __init__(self, opened: _Open) -> None:
        class Plain(HTTPConnection):
            def connect(self) -> None:
                opened.connecting(self)
                super().connect()
                opened.connected(self)

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                opened.connecting(self)
                super().connect()
                opened.connected(self)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self._pool_classes = {"http": PlainPool, "https": SecurePool}
        super().__init__(pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = self._pool_classes

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*arguments, **options)
        manager.pool_classes_by_scheme = self._pool_classes
        return manager
