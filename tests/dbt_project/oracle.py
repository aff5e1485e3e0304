"""What the cost and usage marts must say, worked out a second time in plain Python from the remembered pulls.

Slow, obvious, Decimal throughout; shares no code with the models.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from decimal import Decimal, getcontext
from typing import TYPE_CHECKING, Any

from onelens_claude.api.endpoints import COST_DIMENSIONS, USAGE_DIMENSIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.dbt_project.conftest import Built
    from tests.dbt_project.raw_rows import Pull

getcontext().prec = 60  # DECIMAL(38, 14) does not fit Python's 28 digits

DAY = dt.timedelta(days=1)
ORDER = ["incomplete", "provisional", "final"]
TOKENS = (
    "uncached_input_tokens",
    "cache_read_input_tokens",
    "cache_creation_5m_input_tokens",
    "cache_creation_1h_input_tokens",
    "output_tokens",
)
TOKEN_TYPES = dict(
    zip(
        TOKENS,
        (
            "uncached_input_tokens",
            "cache_read_input_tokens",
            "cache_creation.ephemeral_5m_input_tokens",
            "cache_creation.ephemeral_1h_input_tokens",
            "output_tokens",
        ),
        strict=True,
    )
)
"""Counter of a usage line to the token type of a cost line."""
DUST = Decimal("0.01")


def finality(pull: Pull, day: dt.date, revision_days: int) -> str:
    end = dt.datetime.combine(day + DAY, dt.time())
    complete = pull.data_refreshed_at >= end if pull.data_refreshed_at else pull.fetched_at >= end + DAY
    if not complete:
        return "incomplete"
    return "final" if pull.fetched_at >= end + revision_days * DAY else "provisional"


def current_pulls(warehouse: Built, as_of: dt.datetime | None = None) -> dict[tuple[str, dt.date, str], Pull]:
    """Return (organisation, day, endpoint) to the newest complete pull."""
    current: dict[tuple[str, dt.date, str], Pull] = {}
    for pull in warehouse.pulls:
        if pull.status != "complete" or (as_of and pull.fetched_at > as_of):
            continue
        day = pull.start
        while day < pull.end:
            current[pull.organization_id, day, pull.endpoint] = pull
            day += DAY
    return current


def named(row: dict[str, Any], dimensions: tuple[str, ...]) -> tuple[Any, ...]:
    key = {name: row.get(name) for name in dimensions}
    if key["product"] == "claude_tag":
        key["product"] = "claude-tag"
    if (key["model"] or "").startswith("claude_"):
        key["model"] = key["model"].replace("_", "-")
    return tuple(key.values())


def money(row: dict[str, Any]) -> list[Decimal]:
    listed = row["list_amount"] if row.get("list_amount") is not None else row["amount"]
    return [Decimal(row["amount"]), Decimal(listed)]


def counts(row: dict[str, Any]) -> list[int]:
    cache = row.get("cache_creation") or {}
    return [
        row.get("uncached_input_tokens") or 0,
        row.get("cache_read_input_tokens") or 0,
        cache.get("ephemeral_5m_input_tokens") or 0,
        cache.get("ephemeral_1h_input_tokens") or 0,
        row.get("output_tokens") or 0,
        (row.get("server_tool_use") or {}).get("web_search_requests") or 0,
    ]


def minus(left: list[Any], right: list[Any]) -> list[Any]:
    return [a - b for a, b in zip(left, right, strict=True)]


def plus(left: list[Any], right: list[Any]) -> list[Any]:
    return [a + b for a, b in zip(left, right, strict=True)]


def told(
    rows: list[dict[str, Any]], dimensions: tuple[str, ...], measure: Callable[[dict[str, Any]], list[Any]]
) -> Iterator[tuple[str, int, dict[tuple[Any, ...], list[Any]]]]:
    """Yield the groups of each grain, finest first, as (grain, number of leading dimensions, group to measures).

    Of several answers that name a group, as they spell it, the first counts; an answer by product with 100 groups does
    not.
    """
    for prefix, grain, width in (
        ("detail", "key", len(dimensions)),
        ("by_product_model", "product_model", 2),
        ("by_product", "product", 1),
    ):
        answers: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            is_finer = prefix == "by_product" and row["query"].startswith("by_product_model")
            if row["query"].startswith(prefix) and not is_finer:
                answers[row["query"]].append(row)
        groups: dict[tuple[Any, ...], list[Any]] = {}
        for query in sorted(answers, key=lambda query: (len(query), query)):
            if prefix != "detail" and len(answers[query]) >= 100:
                continue
            added: dict[tuple[Any, ...], list[Any]] = {}
            for row in answers[query]:
                group = tuple(row.get(name) for name in dimensions)[:width]
                added[group] = plus(added[group], measure(row)) if group in added else measure(row)
            groups = added | groups
        canonical: dict[tuple[Any, ...], list[Any]] = {}
        for spelled, values in groups.items():
            group = named(dict(zip(dimensions, spelled, strict=False)), dimensions)[:width]
            canonical[group] = plus(canonical[group], values) if group in canonical else values
        yield grain, width, canonical


def facts(  # noqa: C901, PLR0912 - told in one piece, it is easier to believe
    warehouse: Built, kind: str, as_of: dt.datetime | None = None
) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Return (organisation, day, user, dimensions...) to (measures..., attribution, is_placed, grain, finality, pull)."""
    dimensions, measure = (COST_DIMENSIONS, money) if kind == "cost" else (USAGE_DIMENSIONS, counts)
    nothing: list[Any] = [0, 0] if kind == "cost" else [0] * 6
    current = current_pulls(warehouse, as_of)
    result: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for organization_id, day in {(o, d) for o, d, e in current if e == f"{kind}_report"}:
        report = current[organization_id, day, f"{kind}_report"]
        users = current.get((organization_id, day, f"user_{kind}_report"))
        revision_days = warehouse.organizations.get(organization_id, {"revision_days": 30})["revision_days"]
        state = (
            min((finality(pull, day, revision_days) for pull in (report, users)), key=ORDER.index)
            if users
            else "incomplete"
        )
        by_user: dict[tuple[Any, ...], list[Any]] = defaultdict(lambda: list(nothing))
        by_key: dict[tuple[Any, ...], list[Any]] = defaultdict(lambda: list(nothing))
        spent = list(nothing)
        for row in users.rows if users else []:
            if row["activity_date"] != day or row["actor"]["user_id"] is None:
                continue
            key = named(row, dimensions)
            by_user[row["actor"]["user_id"], key] = plus(by_user[row["actor"]["user_id"], key], measure(row))
            by_key[key] = plus(by_key[key], measure(row))
            spent = plus(spent, measure(row))
        rows = [row for row in report.rows if row["activity_date"] == day]
        total = list(nothing)
        for row in (row for row in rows if row["query"] == "total"):
            total = plus(total, measure(row))
        lines = {(user, *key): (values, "user", True, "key", users.pull_id) for (user, key), values in by_user.items()}
        # what is known so far by key; each coarser answer adds what it tells beyond that
        known = dict(by_key)
        rests: dict[tuple[Any, ...], list[Any]] = defaultdict(lambda: list(nothing))
        grains: dict[tuple[Any, ...], str] = {}
        for grain, width, groups in told(rows, dimensions, measure):
            for group, values in groups.items():
                rest = values
                for key, amount in known.items():
                    rest = minus(rest, amount) if key[:width] == group else rest
                key = (*group, *[None] * (len(dimensions) - width))
                rests[key] = plus(rests[key], rest)
                known[key] = plus(known.get(key, nothing), rest)
                if any(rest):
                    grains[key] = grain
        rest = minus(total, spent)
        for values in rests.values():
            rest = minus(rest, values)
        nowhere = (None,) * len(dimensions)
        rests[nowhere] = plus(rests[nowhere], rest)
        if any(rest):
            grains[nowhere] = "day"
        for key, values in rests.items():
            if any(values):
                lines[None, *key] = (values, "unattributed", key != nowhere, grains[key], report.pull_id)
        for line, (values, attribution, is_placed, grain, pull_id) in lines.items():
            result[organization_id, day, *line] = (*values, attribution, is_placed, grain, state, pull_id)
    return result


def complete_days(built: Built, kind: str) -> dict[str, set[dt.date]]:
    current = current_pulls(built)
    days: dict[str, set[dt.date]] = defaultdict(set)
    for organization_id, day, endpoint in current:
        pulls = [current.get((organization_id, day, name)) for name in (f"{kind}_report", f"user_{kind}_report")]
        if endpoint == f"{kind}_report" and all(
            pull and finality(pull, day, built.organizations[organization_id]["revision_days"]) != "incomplete"
            for pull in pulls
        ):
            days[organization_id].add(day)
    return days


def partly_detailed_days(
    costs: dict[tuple[Any, ...], tuple[Any, ...]], usage: dict[tuple[Any, ...], tuple[Any, ...]]
) -> set[tuple[str, dt.date]]:
    """Return the days on which part of what no user is behind lacks dimensions."""
    found = set()
    for (organization_id, day, *_), (*values, _attribution, _placed, grain, _finality, _pull) in costs.items():
        if grain != "key" and max(abs(values[0]), abs(values[1])) > DUST:
            found.add((organization_id, day))
    for (organization_id, day, *_), (*values, _attribution, _placed, grain, _finality, _pull) in usage.items():
        if grain != "key" and (sum(values[:5]) or values[5]):
            found.add((organization_id, day))
    return found
