"""A backfill of all nine endpoints at 60 requests a minute and 150 ms latency, with time running faster.

The clock of the rate limit, every wait and the server's latency are scaled. What the program itself computes is not:
between two endpoints, where nothing is being asked, the pause counts as long as it really took.

What is here: the fast clock, the server behind the latency, and one backfill in simulated seconds. What to add here:
another figure of the same backfill. What must not go here: what one window costs (`ingest.py`) and what Dagster adds
(`orchestration.py`).
"""

from __future__ import annotations

import argparse
import datetime as dt
import itertools
import json
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from benchmarks.contenders import onelens_settings
from onelens_claude.api.client import AnalyticsClient
from onelens_claude.api.endpoints import ENDPOINTS, Shape
from onelens_claude.api.rate_limit import SharedRateLimit
from onelens_claude.orchestration.resources import Onelens

if TYPE_CHECKING:
    from collections.abc import Callable

    from onelens_claude.settings import Organization

LIMIT = 60
LATENCY_SECONDS = 0.15
FIRST_DAY = dt.date(2026, 1, 1)
NINE = (
    "summaries",
    "users",
    "chat_projects",
    "skills",
    "connectors",
    "user_usage_report",
    "user_cost_report",
    "usage_report",
    "cost_report",
)


class _FastClocked(Onelens):
    """The product, with a clock that runs `scale` times faster for everything that waits."""

    def __init__(self, work: Path, base_url: str, scale: float) -> None:
        super().__init__(onelens_settings(work, base_url, requests_per_minute=LIMIT))
        self._work = work
        self._scale = scale

    def client(self, organization: Organization, on_page: Callable[[], None] | None = None) -> AnalyticsClient:
        """Return the product's client with scaled waits."""

        def sleep(seconds: float) -> None:
            time.sleep(seconds / self._scale)

        limit = SharedRateLimit(
            organization.id,
            organization.base_url,
            LIMIT,
            folder=self._work,
            now=lambda: time.time() * self._scale,
            sleep=sleep,
        )
        return AnalyticsClient(
            organization_id=organization.id,
            base_url=organization.base_url,
            api_key=organization.api_key,
            rate_limit=limit,
            sleep=sleep,
            on_page=on_page,
        )


def backfill(work: Path, base_url: str, days: int, scale: float) -> dict[str, Any]:
    """Land `days` days of every endpoint, one endpoint after the other as a run does; return simulated seconds."""
    wanted = [FIRST_DAY + dt.timedelta(days=number) for number in range(days)]
    product = _FastClocked(work, base_url, scale)
    marks = [time.monotonic()]
    for name in NINE:
        outcomes = product.landing(name).land(ENDPOINTS[name], {"bench": wanted})
        bad = [outcome for outcome in outcomes if outcome.status != "loaded"]
        if bad:
            raise SystemExit(f"{name}: not loaded: {bad[:2]}")
        marks.append(time.monotonic())
    with urllib.request.urlopen(f"{base_url}/arrivals", timeout=10) as answer:  # noqa: S310 - our own server
        arrivals = sorted(json.load(answer))
    return {
        "seconds": _simulated_seconds(marks, arrivals, scale),
        "requests": len(arrivals),
        "busiest_minute": _busiest(arrivals, 60 / scale),
    }


def _simulated_seconds(marks: list[float], arrivals: list[float], scale: float) -> float:
    """Add up what asking took in simulated time and what came between the endpoints in real time.

    `marks` are the start of the first endpoint and the end of each. Both clocks are this machine's.
    """
    total, previous = 0.0, marks[0]
    for start, end in itertools.pairwise(marks):
        asked = [moment for moment in arrivals if start <= moment < end]
        total += max(60 / LIMIT, asked[0] - previous + LATENCY_SECONDS)
        total += (asked[-1] - asked[0]) * scale
        previous = asked[-1]
    return total + marks[-1] - previous + LATENCY_SECONDS


def _busiest(arrivals: list[float], seconds: float) -> int:
    """Return the most arrivals within any stretch of `seconds`."""
    first, most = 0, 0
    for last, moment in enumerate(arrivals):
        while moment - arrivals[first] >= seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    latency: float
    arrivals: list[float]
    guard = threading.Lock()

    def do_GET(self) -> None:
        """Send one small, right answer, late."""
        if self.path == "/arrivals":
            body = json.dumps(self.arrivals).encode()
        else:
            with self.guard:
                self.arrivals.append(time.monotonic())
            time.sleep(self.latency)
            body = json.dumps(_answer(self.path)).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _answer(path: str) -> dict[str, Any]:
    parts = urlsplit(path)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    endpoint = next(one for one in ENDPOINTS.values() if one.url_path == parts.path)
    if endpoint.shape is Shape.DAY_ROWS:
        keys = {"users": ("user", {"id": "user_1"}), "chat_projects": ("project_id", "claude_proj_1")}
        name, value = keys.get(endpoint.name, (endpoint.entity_key, "one"))
        return {"data": [{name: value}], "has_more": False, "next_page": None}
    first = query.get("starting_at", query.get("starting_date", ""))[:10]
    next_day = dt.date.fromisoformat(first) + dt.timedelta(days=1)
    row: dict[str, Any] = {"starting_at": f"{first}T00:00:00Z", "ending_at": f"{next_day}T00:00:00Z"}
    facts = {"amount": "12.5", "list_amount": "12.5", "currency": "USD"} if "cost" in endpoint.name else {}
    if endpoint.shape is Shape.USER_ROWS:
        row |= {"actor": {"type": "user_actor", "user_id": "user_1"}, **facts}
    if endpoint.shape is Shape.BUCKETS:
        row["results"] = [facts]
    refreshed = query.get("ending_at", "")
    return {"data": [row], "has_more": False, "next_page": None, "data_refreshed_at": refreshed or None}


def serve(scale: float) -> None:
    """Serve small answers on a free loopback port, printed on the first line."""
    _Handler.latency = LATENCY_SECONDS / scale
    _Handler.arrivals = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    sys.stdout.write(f"http://127.0.0.1:{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


def main() -> None:
    """Serve, or backfill from what is served."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("scale", type=float)
    parser.add_argument("--base-url")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--days", type=int)
    parser.add_argument("--result", type=Path)
    given = parser.parse_args()
    if given.base_url:
        given.work.mkdir(parents=True)
        given.result.write_text(json.dumps(backfill(given.work, given.base_url, given.days, given.scale)))
    else:
        serve(given.scale)


if __name__ == "__main__":
    main()
