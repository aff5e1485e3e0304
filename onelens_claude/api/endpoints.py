"""The endpoints as frozen data: path, family, window, page size and queries. Read me first.

Nine are always pulled; three newer ones when the settings name them.

What is here: what the API fixes about each endpoint. What to add here: an endpoint, or a fact about one that the
client, the landing, the assets or the checks need.
What must not go here: the fields of a row (`row_types.py`), how a page is fetched (`client.py`) or stored (`landing`).
Source: Claude Enterprise Analytics API documentation, 2026-10, and `anthropic` 2.12.0.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from onelens_claude.api import row_types

if TYPE_CHECKING:
    from collections.abc import Mapping

API_PREFIX = "/v1/organizations/analytics/"
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
"""The only hosts that may be asked without TLS."""
FIRST_DAY = dt.date(2026, 1, 1)
"""The API holds nothing before this day."""
HISTORY_DAYS = 365
"""The API answers for at most this many days back."""
GROUP_CAP = 100
"""A grouped bucket of `cost_report` and `usage_report` holds at most this many groups and no remainder row."""

PRODUCTS_WITHOUT_FILTER = frozenset({"other", "cc_security_autopatch"})
"""Products that answers name but `products[]` refuses (`BetaAnalyticsProductFilter` of `anthropic` 2.12.0)."""

USAGE_DIMENSIONS = ("product", "model", "context_window", "inference_geo", "speed")
COST_DIMENSIONS = (*USAGE_DIMENSIONS, "cost_type", "token_type")


class Family(StrEnum):
    """Endpoints of a family share their clock: when a day appears and how long it may change."""

    ENGAGEMENT = "engagement"
    COST = "cost"


class Shape(StrEnum):
    """How `data[]` is built and how the window is asked for."""

    DAY_ROWS = "day_rows"
    """`date=`; one row per entity; the day is the request's."""
    SUMMARY_ROWS = "summary_rows"
    """`starting_date=`, `ending_date=`; one row per day; a single page."""
    USER_ROWS = "user_rows"
    """`starting_at=`, `ending_at=`, `bucket_width=1d`; one row per user, day and dimensions."""
    FLAT_ROWS = "flat_rows"
    """As USER_ROWS, but `time_bucket_width=1d`, dimensions in `group` and figures in `usage`."""
    BUCKETS = "buckets"
    """As USER_ROWS, but one bucket per day with `results[]`."""


@dataclass(frozen=True, slots=True)
class Query:
    """One question to an endpoint; a pull asks all of an endpoint's queries for its window."""

    name: str
    group_by: tuple[str, ...] = ()
    filters: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    """Filter parameter (`products[]`, ...) to its value, in a pull a piece of a capped answer; or to several."""
    bucket_width: Literal["1d", "1h", "1m"] | None = "1d"
    """A pull asks for days. Null: rows of the whole window, a seventh of the pages where a week is only compared."""


TOTAL = Query("total")
"""Ungrouped: the only answer that is the true total of a day."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint of the API and the raw asset, tables and staging model that carry its name."""

    name: str
    path: str
    family: Family
    shape: Shape
    window_days: int
    """Most days one request may span."""
    page_size: int
    """`limit`: rows, or buckets where the shape is BUCKETS; 0 where the endpoint has a single page."""
    queries: tuple[Query, ...]
    columns: Mapping[str, str]
    """DuckDB types of one API row, in `<endpoint>_rows`."""
    description: str
    entity_key: str
    """Path of the field that says whom or what a row is about; empty where a row is a day of the organisation."""
    row_key: tuple[str, ...]
    """Paths of the fields that no two rows of one query and day may share."""

    is_optional: bool = False
    """Pulled only where the settings' `optional_endpoints` name it."""
    beta: str = ""
    """Value of the `anthropic-beta` header the endpoint needs."""

    @property
    def url_path(self) -> str:
        """Path below the base URL."""
        return API_PREFIX + self.path

    @property
    def rows_table(self) -> str:
        """Name in schema `claude_raw` of the parsed rows of this endpoint's pages."""
        return f"{self.name}_rows"


def _daily(
    name: str,
    path: str,
    columns: Mapping[str, str],
    entity_key: str,
    description: str,
    *,
    more_keys: tuple[str, ...] = (),
    is_optional: bool = False,
) -> Endpoint:
    return Endpoint(
        name=name,
        path=path,
        family=Family.ENGAGEMENT,
        shape=Shape.DAY_ROWS,
        window_days=1,
        page_size=1000,
        queries=(TOTAL,),
        columns=columns,
        description=description,
        entity_key=entity_key,
        row_key=(entity_key, *more_keys),
        is_optional=is_optional,
    )


def _report(
    name: str, shape: Shape, columns: Mapping[str, str], dimensions: tuple[str, ...], description: str
) -> Endpoint:
    detail = Query("detail", dimensions)
    entity_key = "actor.user_id" if "actor" in columns else ""
    return Endpoint(
        name=name,
        path=name,
        family=Family.COST,
        shape=shape,
        window_days=31,
        page_size=31 if shape is Shape.BUCKETS else 1000,
        queries=(TOTAL, detail) if shape is Shape.BUCKETS else (detail,),
        columns=columns,
        description=description,
        entity_key=entity_key,
        row_key=(entity_key, *dimensions) if entity_key else dimensions,
    )


_ALL = (
    Endpoint(
        name="summaries",
        path="summaries",
        family=Family.ENGAGEMENT,
        shape=Shape.SUMMARY_ROWS,
        window_days=31,
        page_size=0,
        queries=(TOTAL,),
        columns=row_types.SUMMARY,
        description="One row per day: seats, invites, active users and adoption rates.",
        entity_key="",
        row_key=(),
    ),
    _daily(
        "users",
        "users",
        row_types.USER_ACTIVITY,
        "user.id",
        "One row per active user and day: every counter.",
    ),
    _daily(
        "chat_projects",
        "apps/chat/projects",
        row_types.PROJECT,
        "project_id",
        "One row per chat project and day.",
    ),
    _daily(
        "skills",
        "skills",
        row_types.SKILL,
        "skill_name",
        "One row per skill and day; its money fields are estimates of an allocation.",
        more_keys=("share_status",),
    ),
    _daily("connectors", "connectors", row_types.CONNECTOR, "connector_name", "One row per connector and day."),
    _report(
        "user_usage_report",
        Shape.USER_ROWS,
        row_types.USER_USAGE,
        USAGE_DIMENSIONS,
        "Tokens per user, day and five dimensions.",
    ),
    _report(
        "user_cost_report",
        Shape.USER_ROWS,
        row_types.USER_COST,
        COST_DIMENSIONS,
        "Cost per user, day and seven dimensions; without cost that no user account is behind.",
    ),
    _report(
        "usage_report",
        Shape.BUCKETS,
        row_types.BUCKET_USAGE,
        USAGE_DIMENSIONS,
        "Tokens of the organisation per day: the true total and at most 100 groups.",
    ),
    _report(
        "cost_report",
        Shape.BUCKETS,
        row_types.BUCKET_COST,
        COST_DIMENSIONS,
        "Cost of the organisation per day: the true total and at most 100 groups.",
    ),
    _daily(
        "plugins",
        "plugins",
        row_types.PLUGIN,
        "plugin_name",
        "One row per plugin and day.",
        more_keys=("plugin_id",),
        is_optional=True,
    ),
    _daily(
        "artifacts",
        "artifacts",
        row_types.ARTIFACT,
        "artifact_type",
        "One row per kind of artifact and day: created and published.",
        more_keys=("is_shared",),
        is_optional=True,
    ),
    Endpoint(
        name="usage",
        path="usage",
        family=Family.COST,
        shape=Shape.FLAT_ROWS,
        window_days=31,
        page_size=1000,
        queries=(Query("detail", ("model", "service_tier")),),
        columns=row_types.FLAT_USAGE,
        description="Tokens per day, model and service tier: the only place that distinguishes priority tier.",
        entity_key="",
        row_key=("group.model", "group.service_tier"),
        is_optional=True,
        beta="analytics-usage-cost-2026-08-24",
    ),
)

OPTIONAL_ENDPOINTS = tuple(endpoint.name for endpoint in _ALL if endpoint.is_optional)
ENDPOINTS: Mapping[str, Endpoint] = {endpoint.name: endpoint for endpoint in _ALL}


def endpoints_of(family: Family) -> list[Endpoint]:
    """Return the endpoints of one family, in the order above."""
    return [endpoint for endpoint in ENDPOINTS.values() if endpoint.family is family]


def first_available_day(today: dt.date) -> dt.date:
    """Return the oldest day the API answers for on `today` (UTC)."""
    return max(FIRST_DAY, today - dt.timedelta(days=HISTORY_DAYS))


def newest_possible_day(now: dt.datetime, family: Family) -> dt.date:
    """Return the newest day that can exist at `now` (UTC): cost at midnight, engagement at 10:00 UTC."""
    ready_at = dt.timedelta(hours=10) if family is Family.ENGAGEMENT else dt.timedelta()
    return (now - ready_at).date() - dt.timedelta(days=1)
