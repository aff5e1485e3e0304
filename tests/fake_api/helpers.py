"""What the tests of the local API server share: a reader that walks pages, sums, and specs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import requests

from onelens_claude.fake_api import DEMO_KEY, Fault, OrganizationSpec, RunningServer, create_app, running_server

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FIRST = date(2026, 10, 1)
WINDOW: dict[str, Any] = {"starting_at": "2026-10-20T00:00:00Z", "ending_at": "2026-11-09T00:00:00Z"}
DAYS: dict[str, Any] = {"from": "2026-10-20", "to": "2026-11-08"}
FIVE = ["product", "model", "context_window", "inference_geo", "speed"]
SEVEN = [*FIVE, "cost_type", "token_type"]
BETA = {"anthropic-beta": "analytics-usage-cost-2026-08-24"}


@dataclass
class Reader:
    """Asks a server with one key."""

    server: RunningServer
    key: str = DEMO_KEY

    @property
    def headers(self) -> dict[str, str]:
        return {"x-api-key": self.key, "anthropic-version": "2023-06-01"}

    def get(self, path: str, headers: dict[str, str] | None = None, **params: Any) -> requests.Response:
        url = f"{self.server.base_url}/v1/organizations/analytics/{path}"
        given = {f"{name}[]" if isinstance(value, list) else name: value for name, value in params.items()}
        beta = BETA if path in {"usage", "cost"} else {}
        return requests.get(url, params=given, headers={**self.headers, **beta, **(headers or {})}, timeout=20)

    def ok(self, path: str, **params: Any) -> dict[str, Any]:
        response = self.get(path, **params)
        assert response.status_code == 200, response.text
        return response.json()

    def pages(self, path: str, **params: Any) -> list[dict[str, Any]]:
        pages = [self.ok(path, **params)]
        while pages[-1]["has_more"]:
            pages.append(self.ok(path, **params, page=pages[-1]["next_page"]))
        assert pages[-1]["next_page"] is None
        return pages

    def rows(self, path: str, **params: Any) -> list[dict[str, Any]]:
        return [row for page in self.pages(path, **params) for row in page["data"]]

    def refused(self, path: str, status: int = 400, headers: dict[str, str] | None = None, **params: Any) -> str:
        response = self.get(path, headers, **params)
        assert response.status_code == status, response.text
        return response.json()["error"]["message"]

    def truth(self, topic: str = "", **params: Any) -> dict[str, Any]:
        url = f"{self.server.base_url}/truth" + (f"/{topic}" if topic else "")
        response = requests.get(url, params={**DAYS, **params}, headers={"x-api-key": self.key}, timeout=20)
        assert response.status_code == 200, response.text
        return response.json()

    def control(self, topic: str, **body: Any) -> requests.Response:
        url = f"{self.server.base_url}/control/{topic}"
        response = requests.post(url, json=body, headers={"x-api-key": self.key}, timeout=20)
        assert response.status_code == 200, response.text
        return response


def total(rows: list[dict[str, Any]], name: str = "amount") -> Decimal:
    return sum((Decimal(row[name]) for row in rows), Decimal(0))


def results(buckets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for bucket in buckets for row in bucket["results"]]


def spec(**changes: Any) -> OrganizationSpec:
    return OrganizationSpec(**{"first_day": FIRST, **changes})


def served(
    *specs: OrganizationSpec, now: datetime = NOW, rpm: int | None = None, faults: tuple[Fault, ...] = ()
) -> Any:
    return running_server(create_app(specs or [spec()], now=lambda: now, requests_per_minute=rpm, faults=faults))
