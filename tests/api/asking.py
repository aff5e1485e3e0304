"""What the tests of this room ask and are answered: a query's pages, and a server of hand-written answers.

What belongs here: asking and answering that several modules of this room need. What does not: tests.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from onelens_claude.api.windows import Window
from tests.worlds import small_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from onelens_claude.api.client import AnalyticsClient, Page
    from onelens_claude.api.endpoints import Endpoint

KEY = "sk-ant-api01-acme"
COSTS = small_pages("user_cost_report")
WINDOW = Window(dt.date(2026, 11, 1), dt.date(2026, 11, 8))
DAY = Window(dt.date(2026, 11, 17), dt.date(2026, 11, 18))


def read(client: AnalyticsClient, endpoint: Endpoint = COSTS, window: Window = WINDOW) -> list[Page]:
    """Read every page as the landing does; after a restart only the pages of the last walk are left."""
    pages: dict[int, Page] = {}

    def keep(number: int, page: Page) -> None:
        if number == 1:
            pages.clear()
        pages[number] = page

    client.read_all(endpoint, endpoint.queries[-1], window, keep)
    assert list(pages) == list(range(1, len(pages) + 1))
    return list(pages.values())


def rows(pages: list[Page]) -> list[dict[str, Any]]:
    return [row for page in pages for row in json.loads(page.body)["data"]]


Answer = tuple[int, dict[str, str], bytes]
PAGE = json.dumps({"data": [], "has_more": False, "next_page": None}).encode()


@contextlib.contextmanager
def scripted(*answers: Answer | Callable[[dict[str, str]], Answer]) -> Iterator[tuple[str, list[str]]]:
    """Serve hand-written answers in turn, the last one for ever; yield the address and the paths asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers[min(len(asked), len(answers) - 1)]
            asked.append(self.path)
            status, headers, body = (
                answer({name.lower(): value for name, value in self.headers.items()}) if callable(answer) else answer
            )
            self.send_response(status)
            for name, value in {"content-length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
