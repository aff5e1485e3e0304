"""Dagster's webserver for `dev`, which answers only the browser pages it served itself.

Dagster's own has no login, executes mutations that come by GET, and looks at neither Host nor Origin: any page that a
browser has open could start runs here.

What is here: that protection, the page of spend beside the UI, and the process that serves with it (`python -m`, with
the options of `dagster-webserver`). What to add here: another refusal.
What must not go here: logins; a server that others can reach needs a proxy that has them (`docs/security.md`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dagster_webserver import app
from dagster_webserver.cli import main
from dagster_webserver.webserver import DagsterWebserver
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import FileResponse, PlainTextResponse
from starlette.routing import Route

from onelens_claude.errors import OnelensError
from onelens_claude.orchestration.assets.report import REPORT_PATH
from onelens_claude.report.page import default_path
from onelens_claude.settings import load_settings

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

HOSTS = ("127.0.0.1", "localhost")
_READS = frozenset({"GET", "HEAD", "OPTIONS"})


class SameOriginOnly:
    """Refuses what another site's page sends, and every GraphQL operation that does not come by POST."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request or a websocket on, or answer 403 or 405; starlette closes a websocket that is answered."""
        if refusal := _refusal(scope):
            await refusal(scope, receive, send)
        else:
            await self._application(scope, receive, send)


def _refusal(scope: Scope) -> PlainTextResponse | None:
    if scope["type"] not in {"http", "websocket"}:
        return None
    headers = Headers(scope=scope)
    changes = scope["type"] == "websocket" or scope["method"] not in _READS
    origin = headers.get("origin")  # browsers send it with all that changes something; other programs may leave it out
    if changes and origin is not None and origin != f"http://{headers.get('host')}":
        return PlainTextResponse(f"Refused: {origin} is not this server.\n", status_code=403)
    is_page = "text/html" in headers.get("accept", "")  # the playground, which executes nothing
    if not changes and scope["path"].rstrip("/") == "/graphql" and not is_page:
        return PlainTextResponse("GraphQL is answered by POST only.\n", status_code=405, headers={"Allow": "POST"})
    return None


def _report(_: Request) -> Response:
    """Send the page as it is now; it allows itself no request, so it cannot reach the UI beside it."""
    try:
        page = default_path(load_settings(needs_keys=False))
    except OnelensError as error:
        return PlainTextResponse(f"{error}\n", status_code=404)
    if not page.exists():
        return PlainTextResponse(f"There is no page at {page}; materialize serving/report.\n", status_code=404)
    return FileResponse(page, media_type="text/html", headers={"Cache-Control": "no-store"})


class ProtectedWebserver(DagsterWebserver[Any, Any]):
    """Dagster's webserver behind both checks, and the page of spend."""

    def build_routes(self) -> list[Any]:
        """Return Dagster's own routes behind that of the page."""
        return [Route(REPORT_PATH, _report), *super().build_routes()]  # type: ignore[no-untyped-call]

    def build_middleware(self) -> list[Middleware]:
        """Return Dagster's own middleware behind ours."""
        trusted = Middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS), www_redirect=False)
        return [trusted, Middleware(SameOriginOnly), *super().build_middleware()]


def protect() -> None:
    """Let Dagster's command serve with the protection; it has no option for a webserver of one's own."""
    vars(app)["DagsterWebserver"] = ProtectedWebserver


if __name__ == "__main__":
    protect()
    main()  # type: ignore[no-untyped-call]
