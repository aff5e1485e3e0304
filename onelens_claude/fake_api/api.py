"""The API itself, free of any web framework: a request in, a status, headers and bytes out.

What is here: organisations by key, the order of checks, pages and envelopes, the request log, the clock.
What to add here: another check or envelope that every endpoint shares.
What must not go here: sockets and routes (server.py), changing the server from outside (control.py).
"""

from __future__ import annotations

import itertools
import re
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from onelens_claude.fake_api import cursors, engagement, flat, reports
from onelens_claude.fake_api.contract import ApiError, Parameters, Query, parse_query, refuse
from onelens_claude.fake_api.engagement import Engagement
from onelens_claude.fake_api.entities import entity_rows
from onelens_claude.fake_api.faults import ANSWER_FAULTS, PAYLOAD_FAULTS, Fault, FaultBoard, RequestFacts
from onelens_claude.fake_api.limits import RateLimiter
from onelens_claude.fake_api.organization import Organization, Snapshot
from onelens_claude.fake_api.spec import ANALYTICS_SCOPE, Clock, OrganizationSpec, format_moment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROOT = "/v1/organizations/analytics/"
PATHS = {
    "summaries": "summaries",
    "users": "users",
    "apps/chat/projects": "chat_projects",
    "skills": "skills",
    "connectors": "connectors",
    "plugins": "plugins",
    "artifacts": "artifacts",
    "user_usage_report": "user_usage_report",
    "user_cost_report": "user_cost_report",
    "usage_report": "usage_report",
    "cost_report": "cost_report",
    "usage": "usage",
    "cost": "cost",
}
"""Path below ROOT to endpoint name."""

PARAMETERS: dict[str, Parameters] = {**engagement.PARAMETERS, **reports.PARAMETERS, **flat.PARAMETERS}
_CACHED_WALKS = 32
_LOGGED_REQUESTS = 20_000


class Pageable(Protocol):
    """Something a walk of pages goes over."""

    def __len__(self) -> int:
        """Return the units a page size counts."""

    def page(self, offset: int, limit: int, snapshot: Snapshot, /) -> list[dict[str, Any]]:
        """Return the rows of a page."""


@dataclass(frozen=True)
class _Rows:
    rows: list[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.rows)

    def page(self, offset: int, limit: int, _snapshot: Snapshot, /) -> list[dict[str, Any]]:
        return [msgspec.json.decode(msgspec.json.encode(row)) for row in self.rows[offset : offset + limit]]


@dataclass
class Tenant:
    """One organisation being served, and what can be switched about it."""

    organization: Organization
    engagement: Engagement
    keys: set[str]
    known_keys: set[str]
    scopes: frozenset[str]
    access_enabled: bool


@dataclass(frozen=True)
class Answer:
    """What goes back. `faults` are the transport faults the server still has to act out."""

    status: int
    body: bytes
    headers: dict[str, str]
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class LoggedRequest:
    """One request to the API, for tests that count."""

    organization_id: str | None
    path: str
    query: str
    status: int


@dataclass
class _Request:
    path: str
    raw_query: bytes
    headers: Mapping[str, str]
    tenant: Tenant | None = None
    faults: list[Fault] = field(default_factory=list)


class FakeApi:
    """The served organisations with their clock, limits, faults and log; safe to call from any thread."""

    def __init__(
        self,
        organizations: Sequence[OrganizationSpec],
        *,
        now: Clock,
        requests_per_minute: int | None,
        faults: Sequence[Fault],
    ) -> None:
        self.clock = now
        self.initial_clock = now
        self.limiter = RateLimiter(requests_per_minute)
        self.faults = FaultBoard(faults)
        self.log: deque[LoggedRequest] = deque(maxlen=_LOGGED_REQUESTS)
        self.tenants = [_tenant(spec) for spec in organizations]
        keys = [spec.api_key for spec in organizations]
        if len(set(keys)) < len(keys):
            raise ValueError("two organisations have the same key")
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._walks: OrderedDict[tuple[str, Snapshot], Pageable] = OrderedDict()

    def now(self) -> datetime:
        """Return the server's moment."""
        return self.clock()

    def tenant_of(self, headers: Mapping[str, str], *, known: bool = False) -> Tenant | None:
        """Return the organisation a request's key belongs to (`known`: rotated keys count too)."""
        key = headers.get("x-api-key")
        if key is None:
            scheme, _, token = headers.get("authorization", "").partition(" ")
            key = token.strip() if scheme.lower() == "bearer" else None
        for tenant in self.tenants:
            if key in (tenant.known_keys if known else tenant.keys):
                return tenant
        return None

    def answer(self, method: str, path: str, raw_query: bytes, headers: Mapping[str, str]) -> Answer:
        """Answer one request; header names are lower case."""
        request = _Request(path, raw_query, headers)
        request_id = f"req_{next(self._numbers):024d}"
        answer_headers = {"content-type": "application/json", "request-id": request_id}
        try:
            if method != "GET":
                raise ApiError(405, "Method not allowed", {"allow": "GET"})  # noqa: TRY301
            body = msgspec.json.encode(self._serve(request))
            status = 200
        except ApiError as error:
            status = error.status
            answer_headers |= error.headers
            body = msgspec.json.encode(error.body(request_id))
        organization_id = request.tenant.organization.organization_id if request.tenant else None
        if organization_id:
            answer_headers["anthropic-organization-id"] = organization_id
        self.log.append(LoggedRequest(organization_id, path, raw_query.decode("latin-1"), status))
        return Answer(status, body, answer_headers, tuple(request.faults))

    def _serve(self, request: _Request) -> dict[str, Any]:
        tenant = request.tenant = self.tenant_of(request.headers)
        if tenant is None:
            raise ApiError(401, "invalid x-api-key")
        self.limiter.admit(tenant.organization.organization_id)
        version = request.headers.get("anthropic-version")
        if version is None:
            raise ApiError(400, "anthropic-version: header is required")
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", version):
            raise ApiError(400, f"anthropic-version: {version!r} is not a valid version")
        endpoint = PATHS.get(request.path.removeprefix(ROOT)) if request.path.startswith(ROOT) else None
        if endpoint is None:
            raise ApiError(404, f"Not found: {request.path}")
        if not tenant.access_enabled:
            raise ApiError(403, "Public API access is not enabled for this organization.")
        if ANALYTICS_SCOPE not in tenant.scopes:
            raise ApiError(403, f"Your API key lacks the required scope {ANALYTICS_SCOPE}.")
        if tenant.organization.spec.kind == "platform" and endpoint not in flat.PARAMETERS:
            raise ApiError(403, "This endpoint is available to Claude Enterprise organizations only.")
        if endpoint in flat.PARAMETERS and flat.BETA not in request.headers.get("anthropic-beta", ""):
            raise ApiError(400, f"anthropic-beta: this endpoint requires {flat.BETA}")
        query = parse_query(request.raw_query, PARAMETERS[endpoint])
        digest = cursors.query_digest(tenant.organization.organization_id, endpoint, query.canonical)
        return self._page(request, tenant, endpoint, query, digest)

    def _page(self, request: _Request, tenant: Tenant, endpoint: str, query: Query, digest: str) -> dict[str, Any]:
        cursor: str | None = query.get("page")
        faults = self.faults.take(_facts(tenant, endpoint, query, cursor, digest))
        for fault in faults:
            if fault.kind in ANSWER_FAULTS:
                status, message = ANSWER_FAULTS[fault.kind]
                headers = {"retry-after": fault.value or "1"} if fault.kind == "rate_limited" else {}
                raise ApiError(status, message.replace("{value}", fault.value or ""), headers)
        if cursor is not None and (endpoint == "summaries" or (endpoint == "artifacts" and not query.has("group_by"))):
            raise refuse("page", "This endpoint has a single page")
        if cursor is None:
            position = cursors.Position(0, 1, tenant.organization.snapshot(self.now()))
        else:
            position = cursors.decode(cursor, digest)
        snapshot = position.snapshot
        walk = self._walk((digest, snapshot), lambda: _build(tenant, endpoint, query, snapshot))
        limit = _limit(endpoint, query, len(walk))
        rows = walk.page(position.offset, limit, snapshot)
        following = position.offset + limit
        has_more = following < len(walk)
        next_page = (
            cursors.encode(digest, cursors.Position(following, position.page + 1, snapshot)) if has_more else None
        )
        body: dict[str, Any] = {"data": rows, "has_more": has_more, "next_page": next_page}
        if endpoint not in engagement.PARAMETERS:
            body["data_refreshed_at"] = format_moment(tenant.organization.refreshed_at(snapshot))
            body["organization_id"] = tenant.organization.organization_id
        for fault in faults:
            if fault.kind == "cursor_loop":
                fault = Fault("cursor_loop", value=cursor or next_page)  # noqa: PLW2901
            if fault.kind in PAYLOAD_FAULTS:
                PAYLOAD_FAULTS[fault.kind](body, fault)
        request.faults = [fault for fault in faults if fault.kind not in PAYLOAD_FAULTS]
        return body

    def _walk(self, key: tuple[str, Snapshot], build: Callable[[], Pageable]) -> Pageable:
        with self._lock:
            if key in self._walks:
                self._walks.move_to_end(key)
                return self._walks[key]
        walk = build()
        with self._lock:
            self._walks[key] = walk
            while len(self._walks) > _CACHED_WALKS:
                self._walks.popitem(last=False)
        return walk


def _tenant(spec: OrganizationSpec) -> Tenant:
    organization = Organization(spec)
    keys = {spec.api_key}
    return Tenant(organization, Engagement(organization), keys, set(keys), spec.scopes, spec.access_enabled)


def _facts(tenant: Tenant, endpoint: str, query: Query, cursor: str | None, digest: str) -> RequestFacts:
    page = 1
    if cursor is not None:
        try:
            page = cursors.decode(cursor, digest).page
        except ApiError:
            page = 2
    first, last = _covered(query)
    names = (tenant.organization.organization_id, tenant.organization.spec.name)
    return RequestFacts(endpoint, page, cursor is not None, first, last, names)


def _covered(query: Query) -> tuple[date | None, date | None]:
    if query.has("date"):
        return query.get("date"), query.get("date")
    if query.has("starting_date"):
        first: date = query.get("starting_date")
        end: date = query.get("ending_date", first + timedelta(days=366))
        return first, end - timedelta(days=1)
    if query.has("starting_at"):
        start: datetime = query.get("starting_at")
        stop: datetime = query.get("ending_at", start + timedelta(days=31))
        return start.date(), (stop - timedelta(microseconds=1)).date()
    return None, None


def _limit(endpoint: str, query: Query, length: int) -> int:
    if endpoint == "summaries" or (endpoint == "artifacts" and not query.has("group_by")):
        return max(length, 1)
    if endpoint in {"cost_report", "usage_report"}:
        return reports.bucket_limit(query)
    return int(query.get("limit", 100 if endpoint in engagement.PARAMETERS else 20))


def _build(tenant: Tenant, endpoint: str, query: Query, snapshot: Snapshot) -> Pageable:
    organization = tenant.organization
    if endpoint in engagement.PARAMETERS:
        scope = engagement.read_scope(endpoint, query, snapshot, organization.latest_engagement_day(snapshot.now))
        if endpoint == "summaries":
            return _Rows(tenant.engagement.summary_rows(scope, snapshot))
        return _Rows(entity_rows(tenant.engagement, endpoint, query, scope, snapshot))
    cost = endpoint in {"user_cost_report", "cost_report", "cost"}
    if endpoint in flat.PARAMETERS:
        return flat.flat_report(organization, query, snapshot, cost=cost)
    if endpoint.startswith("user_"):
        return reports.user_report(organization, query, snapshot, cost=cost)
    reports.bucket_limit(query)
    return reports.bucket_report(organization, query, snapshot, cost=cost)
