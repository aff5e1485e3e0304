"""The Starlette app, and a server for it that starts on a free port and stops cleanly.

What is here: routes, acting out transport faults, threads and sockets.
What to add here: another transport fault or route.
What must not go here: what is answered (api.py) and what control changes (control.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.routing import Route

from onelens_claude.fake_api.api import Answer, FakeApi
from onelens_claude.fake_api.contract import ApiError
from onelens_claude.fake_api.control import change, read_control, read_truth
from onelens_claude.fake_api.spec import Clock, OrganizationSpec, system_clock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from starlette.types import Receive, Scope, Send

    from onelens_claude.fake_api.faults import Fault

_START_SECONDS = 20.0
_WEB_PAGE = b"<!doctype html><html><head><title>Just a moment</title></head><body>Checking your browser</body></html>"


def create_app(
    organizations: Sequence[OrganizationSpec] | None = None,
    *,
    now: Clock | None = None,
    requests_per_minute: int | None = 60,
    faults: Sequence[Fault] = (),
    control: bool = True,
) -> Starlette:
    """Build the app that serves some organisations, told apart by key (default: one demo organisation).

    `now` replaces the clock (default: `ONELENS_NOW`, else UTC); `requests_per_minute` None or 0 lifts the limit;
    `control` False takes `/control` away. `app.state.api` is the FakeApi behind it. ValueError for equal keys.
    """
    served = [OrganizationSpec()] if organizations is None else list(organizations)
    api = FakeApi(served, now=now or system_clock, requests_per_minute=requests_per_minute, faults=faults)
    areas = ("truth", "control") if control else ("truth",)
    outside = [Route(path, _Outside(api, area)) for area in areas for path in (f"/{area}", f"/{area}/{{topic:path}}")]
    app = Starlette(routes=[*outside, Route("/{path:path}", _Inside(api))])
    app.state.api = api
    return app


class _Inside:
    """The API as an ASGI endpoint: computes in a thread, then acts out transport faults."""

    def __init__(self, api: FakeApi) -> None:
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        method, path, query = scope["method"], scope["path"], scope["query_string"]
        answer = await run_in_threadpool(self._api.answer, method, path, query, headers)
        kinds = {fault.kind: fault for fault in answer.faults}
        if "slow" in kinds:
            await asyncio.sleep(kinds["slow"].seconds)
        if "connection_reset" in kinds and _reset(receive):
            return
        await _send(send, answer, kinds)


async def _send(send: Send, answer: Answer, kinds: Mapping[str, Fault]) -> None:
    body, headers = answer.body, dict(answer.headers)
    if "html_200" in kinds:
        body, headers["content-type"] = _WEB_PAGE, "text/html; charset=utf-8"
    elif "truncated_json" in kinds:
        body = body[: len(body) // 2]
    elif "empty_body" in kinds:
        body = b""
    headers["content-length"] = str(len(body))
    if "truncated_body" in kinds or "connection_reset" in kinds:
        body = body[: len(body) // 2]
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def _reset(receive: Receive) -> bool:
    """Cut the connection with a TCP reset; False when the server does not let one reach its transport."""
    transport = getattr(getattr(receive, "__self__", None), "transport", None)
    if transport is None:
        return False
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    return True


class _Outside:
    """`/truth` or `/control` as an ASGI endpoint."""

    def __init__(self, api: FakeApi, area: str) -> None:
        self._api = api
        self._area = area

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        answer = await run_in_threadpool(self._answer, request, body)
        await _send(send, answer, {})

    def _answer(self, request: Request, body: bytes) -> Answer:
        headers = {"content-type": "application/json"}
        topic = request.path_params.get("topic", "").strip("/")
        try:
            return Answer(200, msgspec.json.encode(self._result(request, topic, body)), headers)
        except ApiError as error:
            return Answer(error.status, msgspec.json.encode(error.body("req_outside")), headers)

    def _result(self, request: Request, topic: str, body: bytes) -> dict[str, Any]:
        tenant = self._api.tenant_of(request.headers, known=True)
        if tenant is None:
            raise ApiError(401, "invalid x-api-key")
        if self._area == "truth" and request.method == "GET":
            return read_truth(self._api, tenant, topic, request.scope["query_string"])
        if self._area == "control" and request.method == "GET":
            return read_control(self._api, topic)
        if self._area == "control" and request.method == "POST":
            return change(self._api, tenant, topic, body)
        raise ApiError(405, "Method not allowed")


@dataclass(frozen=True)
class RunningServer:
    """A server that answers at `base_url` until its context ends; `api` allows changes without HTTP."""

    base_url: str
    port: int
    app: Starlette

    @property
    def api(self) -> FakeApi:
        """The served state."""
        served: FakeApi = self.app.state.api
        return served


def build_server(app: Starlette) -> uvicorn.Server:
    """Make a silent uvicorn server for the app."""
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level=60,
        access_log=False,
        lifespan="off",
        ws="none",
        loop="asyncio",
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


def bind(port: int = 0, host: str = "127.0.0.1") -> socket.socket:
    """Bind a loopback socket (port 0: a free one); OSError when the port is taken."""
    # asyncio switches Nagle off only on sockets that say they are TCP; without it every answer waits 40 ms
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


@contextlib.contextmanager
def running_server(app: Starlette, *, port: int = 0) -> Iterator[RunningServer]:
    """Serve the app in a thread on a free loopback port (or the given one); ready when it yields.

    RuntimeError when it does not come up. Leaving the block stops it and waits for the thread.
    """
    listener = bind(port)
    server = build_server(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="fake-api", daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the local API server did not start")
            time.sleep(0.005)
        actual = int(listener.getsockname()[1])
        yield RunningServer(f"http://127.0.0.1:{actual}", actual, app)
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()
