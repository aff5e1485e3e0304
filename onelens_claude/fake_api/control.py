"""What lies outside the API: `/truth` and `/control`, for tests and demos.

What is here: reading these requests and changing the served state.
What to add here: another topic of `/truth` or `/control`.
What must not go here: the sums behind the truth (truth.py) and what a fault does (faults.py).

Both need the key of an organisation (a rotated one still works) and know no rate limit. `/truth` is described in
truth.py. Control takes JSON by POST and answers `{"ok": true}`; it acts on the key's organisation, the clock, the
rate limit and faults on all:

    /control/now        {"now": RFC 3339 or null}         null: back to the clock the server started with
    /control/access     {"enabled": bool}                 public API access
    /control/scopes     {"scopes": [...]}
    /control/key        {"api_key": "...", "keep_old": bool}
    /control/freshness  {"engagement_lag_days": n, "cost_lag_hours": n}   either or both
    /control/rate-limit {"requests_per_minute": n or null}
    /control/faults     a fault (faults.Fault by field names); "organization" defaults to everyone's
    /control/faults/clear
    /control/revisions  {"day", "kind", "effective_at", "percent", "user_id", "product", "from_hour", "usd_per_hour"}
                        (spec.Revision)
    /control/log/clear
    GET /control/log    {"total", "by_endpoint": {organization_id: {path: n}}, "requests": [{...}]}
    GET /control/faults {"faults": [{..., "fired": n}]}
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import parse_qs

import msgspec

from onelens_claude.fake_api import truth
from onelens_claude.fake_api.contract import ApiError
from onelens_claude.fake_api.events import PRODUCTS
from onelens_claude.fake_api.faults import build_fault
from onelens_claude.fake_api.spec import Revision, RevisionKind, format_moment, parse_moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from onelens_claude.fake_api.api import FakeApi, Tenant

Body = dict[str, Any]


def read_truth(api: FakeApi, tenant: Tenant, topic: str, raw_query: bytes) -> Body:
    """Answer a `/truth` request; ApiError 404 for an unknown topic, 400 for a bad parameter."""
    given = {name: values[-1] for name, values in parse_qs(raw_query.decode("latin-1")).items()}
    organization = tenant.organization
    snapshot = organization.snapshot(api.now())
    try:
        first = date.fromisoformat(given.get("from", organization.spec.first_day.isoformat()))
        last = date.fromisoformat(given.get("to", snapshot.now.date().isoformat()))
    except ValueError as error:
        raise ApiError(400, f"from/to: {error}") from None
    span = (first, last, snapshot)
    if topic == "":
        return truth.overview(organization, *span)
    rows: list[Body]
    extra: Body = {}
    if topic in {"costs", "usage"}:
        keys = truth.COST_KEYS if topic == "costs" else truth.USAGE_KEYS
        by = tuple(given["by"].split(",")) if given.get("by") else keys
        unknown = set(by) - set(keys) - set(truth.EXTRA_KEYS)
        if unknown:
            raise ApiError(400, f"by: unknown {', '.join(sorted(unknown))}")
        extra["by"] = list(by)
        found = truth.facts(organization, *span)
        rows = truth.cost_rows(found, by) if topic == "costs" else truth.usage_rows(found, by)
    elif topic == "days":
        rows = truth.day_rows(tenant.engagement, *span)
    elif topic == "users":
        rows = truth.user_rows(organization, *span)
    elif topic == "engagement":
        rows = truth.engagement_rows(tenant.engagement, *span)
    else:
        raise ApiError(404, f"Not found: /truth/{topic}")
    head = {
        "organization_id": organization.organization_id,
        "now": format_moment(snapshot.now),
        "data_refreshed_at": format_moment(organization.refreshed_at(snapshot)),
        "from": first.isoformat(),
        "to": last.isoformat(),
    }
    return head | extra | {"rows": rows}


def read_control(api: FakeApi, topic: str) -> Body:
    """Answer a GET below `/control`."""
    if topic == "log":
        entries = list(api.log)
        counted: dict[str, Counter[str]] = {}
        for entry in entries:
            counted.setdefault(entry.organization_id or "none", Counter())[entry.path] += 1
        return {
            "total": len(entries),
            "by_endpoint": {name: dict(counter) for name, counter in counted.items()},
            "requests": [asdict(entry) for entry in entries],
        }
    if topic == "faults":
        return {"faults": [asdict(fault) for fault in api.faults.all()]}
    raise ApiError(404, f"Not found: /control/{topic}")


def change(api: FakeApi, tenant: Tenant, topic: str, raw_body: bytes) -> Body:
    """Carry out a POST below `/control`; ApiError 400 when it makes no sense."""
    try:
        given = msgspec.json.decode(raw_body) if raw_body.strip() else {}
        if not isinstance(given, dict):
            raise TypeError("the body must be a JSON object")  # noqa: TRY301
        _change(api, tenant, topic, given)
    except (ValueError, TypeError, KeyError, msgspec.DecodeError) as error:
        raise ApiError(400, f"{topic}: {error}") from None
    return {"ok": True}


def _change(api: FakeApi, tenant: Tenant, topic: str, given: Body) -> None:
    actions: dict[str, Callable[[], object]] = {
        "now": lambda: set_now(api, given["now"]),
        "access": lambda: setattr(tenant, "access_enabled", bool(given["enabled"])),
        "scopes": lambda: setattr(tenant, "scopes", frozenset(given["scopes"])),
        "key": lambda: rotate_key(tenant, str(given["api_key"]), keep_old=bool(given.get("keep_old", False))),
        "freshness": lambda: _set_freshness(tenant, given),
        "rate-limit": lambda: setattr(api.limiter, "per_minute", given["requests_per_minute"]),
        "faults": lambda: api.faults.add(build_fault(given)),
        "faults/clear": api.faults.clear,
        "revisions": lambda: tenant.organization.add_revision(_revision(given)),
        "log/clear": api.log.clear,
    }
    if topic not in actions:
        raise ApiError(404, f"Not found: /control/{topic}")
    actions[topic]()


def _set_freshness(tenant: Tenant, given: Body) -> None:
    if "engagement_lag_days" in given:
        tenant.organization.engagement_lag_days = int(given["engagement_lag_days"])
    if "cost_lag_hours" in given:
        tenant.organization.cost_lag = timedelta(hours=given["cost_lag_hours"])


def set_now(api: FakeApi, moment: str | None) -> None:
    """Fix the server's clock (RFC 3339), or give it back the one it started with."""
    if moment is None:
        api.clock = api.initial_clock
        return
    fixed = parse_moment(moment)
    api.clock = lambda: fixed


def rotate_key(tenant: Tenant, api_key: str, *, keep_old: bool) -> None:
    """Give an organisation a new key; the old one stops working unless kept."""
    tenant.keys = {*tenant.keys, api_key} if keep_old else {api_key}
    tenant.known_keys.add(api_key)


def _revision(given: Body) -> Revision:
    values = dict(given)
    values["day"] = date.fromisoformat(values["day"])
    if values.get("effective_at") is not None:
        values["effective_at"] = parse_moment(values["effective_at"])
    if values.get("kind") not in get_args(RevisionKind):
        raise ValueError(f"kind: unknown {values.get('kind')!r}")
    if values.get("product") is not None and values["product"] not in PRODUCTS:
        raise ValueError(f"product: unknown {values['product']!r}")
    return Revision(**values)
