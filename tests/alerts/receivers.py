"""Real servers that take alerts: an HTTP receiver and a mail server on loopback, each as unreliable as a test wants.

What belongs here: what a server does with the next message, and what it has taken. What does not: sending.
"""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import json
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage


@dataclass
class Posted:
    """One request as it arrived."""

    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def keys(self) -> list[str]:
        return [one["alert_key"] for one in self.json["alerts"]]


@dataclass
class HttpReceiver:
    """What arrived, and what the next requests are answered with: a status, or "hang" or "reset"."""

    address: str
    posted: list[Posted] = field(default_factory=list)
    answers: list[int | str | tuple[int, dict[str, str]]] = field(default_factory=list)
    otherwise: int = 200
    hang_seconds: float = 2.0

    @property
    def alerts(self) -> list[dict[str, Any]]:
        return [alert for one in self.posted for alert in one.json["alerts"]]


@contextlib.contextmanager
def http_receiver() -> Iterator[HttpReceiver]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.posted.append(Posted(dict(self.headers), body))
            answer = receiver.answers.pop(0) if receiver.answers else receiver.otherwise
            self.close_connection = True
            if answer == "hang":
                time.sleep(receiver.hang_seconds)
                return
            if answer == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                return
            status, headers = answer if isinstance(answer, tuple) else (answer, {})
            self.send_response(int(status))
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"fine")

        def log_message(self, *_: Any) -> None:
            pass

        def finish(self) -> None:
            with contextlib.suppress(OSError, ValueError):
                super().finish()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver = HttpReceiver(f"http://127.0.0.1:{server.server_port}/hook/s3cret")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class MailServer:
    """What was taken, and how the next sessions go: "good", "refuse", "drop", "hang" or "drip"."""

    port: int = 0
    taken: list[EmailMessage] = field(default_factory=list)
    logins: int = 0
    manners: str = "good"
    refused: tuple[str, ...] = ()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError):
            await self._converse(reader, writer)
        writer.close()

    async def _converse(  # noqa: C901 - a protocol is a list of verbs
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        async def say(text: str) -> None:
            writer.write(f"{text}\r\n".encode())
            await writer.drain()

        if self.manners == "hang":
            await asyncio.sleep(60)
        while self.manners == "drip":
            writer.write(b"2")
            await writer.drain()
            await asyncio.sleep(0.05)
        await say("220 mail.test ESMTP")
        while line := (await reader.readline()).decode().strip():
            verb, _, rest = line.upper().partition(" ")
            if verb == "EHLO":
                await say("250-mail.test")
                await say("250-AUTH PLAIN LOGIN")
                await say("250 SMTPUTF8")
            elif verb == "AUTH":
                self.logins += 1
                await say("535 5.7.8 no" if self.manners == "refuse" else "235 2.7.0 yes")
            elif verb == "RCPT" and any(address.upper() in rest for address in self.refused):
                await say("550 5.1.1 nobody here")
            elif verb == "DATA":
                await say("354 go on")
                content = await reader.readuntil(b"\r\n.\r\n")
                if self.manners == "drop":
                    return
                content = content[:-5].replace(b"\r\n..", b"\r\n.")  # SMTP doubles a dot at the beginning of a line
                self.taken.append(email.message_from_bytes(content, policy=email.policy.default))
                await say("250 2.0.0 taken")
            elif verb == "QUIT":
                await say("221 bye")
                return
            else:
                await say("250 2.0.0 good")


@contextlib.contextmanager
def mail_server() -> Iterator[MailServer]:
    server = MailServer()
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    stop = asyncio.Event()

    async def run() -> None:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, limit=2**23)
        server.port = listening.sockets[0].getsockname()[1]
        ready.set()
        async with listening:
            await stop.wait()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
