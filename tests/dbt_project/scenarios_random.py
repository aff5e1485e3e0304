"""Pulls of two organisations with everything that may vary varying: what the models make of them is `oracle.py`'s.

What belongs here: rows drawn from a seed. What does not: rows that prove one thing (the other scenarios).
"""

from __future__ import annotations

import random
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.dbt_project.raw_rows import DAY, D, RawWarehouse, at, cost, usage

if TYPE_CHECKING:
    import datetime as dt


def register_random_pulls(w: RawWarehouse, *, seed: int) -> None:
    """Pull windows of two organisations, with everything that may vary varying; later seeds revise earlier days."""
    rng = random.Random(seed)
    for organization_id in ("random-a", "random-b"):
        w.organization(organization_id, revision_days=15)
        for _ in range(4):
            start, days = D + rng.randrange(8) * DAY, rng.randrange(1, 5)
            fetched = at(D, days_later=8 + 10 * seed + rng.randrange(10))
            for kind in rng.choice([("cost",), ("usage",), ("cost", "usage")]):
                users, report = random_answers(rng, kind, start, days)
                if rng.random() < 0.85:
                    w.pull(organization_id, f"user_{kind}_report", start, users, days=days, fetched_at=fetched)
                if rng.random() < 0.85:
                    w.pull(organization_id, f"{kind}_report", start, report, days=days, fetched_at=fetched)


def random_answers(rng: random.Random, kind: str, start: dt.date, days: int) -> tuple[list[Any], list[Any]]:
    """Return the rows of the users' and of the organisation's answer of one kind, from the same true lines."""
    users: list[Any] = []
    report: list[Any] = []
    for number in range(days):
        day = {"activity_date": start + number * DAY}
        lines = [random_line(rng, kind) for _ in range(rng.choice([0, 1, 5, 12]))]
        users += [make_row(kind, line, user=line["user"]) | day for line in lines if line["user"] != "nobody"]
        groups: dict[tuple[Any, ...], list[Any]] = {}
        for line in lines:
            groups.setdefault(tuple(line["dimensions"].values()), []).append(line)
        listed = [group for group in groups.values() if rng.random() < 0.8]
        if lines:
            report.append(make_row(kind, added_up(lines), query="total") | day)
        for group in listed:
            query = rng.choice(["detail", "detail", "detail:products[]=chat"])
            row = make_row(kind, added_up(group), query=query) | day
            report.append(row)
            if rng.random() < 0.2:
                report.append(row | {"query": "detail:models[]=any"})
        report += [row | day for row in random_coarse_answers(rng, kind, lines)]
    return users, report


def random_coarse_answers(rng: random.Random, kind: str, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows of answers by product, and by product and model, of the same true lines; some groups are not told."""
    rows = []
    for query, names in (("by_product_model", ("product", "model")), ("by_product", ("product",))):
        groups: dict[tuple[Any, ...], list[Any]] = {}
        for line in lines if rng.random() < 0.5 else []:
            groups.setdefault(tuple(line["dimensions"][name] for name in names), []).append(line)
        for group, members in groups.items():
            dimensions = dict.fromkeys(members[0]["dimensions"]) | dict(zip(names, group, strict=True))
            if rng.random() < 0.9:
                rows.append(make_row(kind, added_up(members) | {"dimensions": dimensions}, query=query))
    return rows


def random_line(rng: random.Random, kind: str) -> dict[str, Any]:
    dimensions = {
        "product": rng.choice(["chat", "claude_code", "claude_tag", "claude-tag", None]),
        "model": rng.choice(["claude-opus-4-6", "claude_opus_4_6", "new_model", None]),
        "speed": rng.choice(["standard", "fast", None]),
    }
    if kind == "cost":
        dimensions["cost_type"] = rng.choice(["tokens", "web_search", "code_execution"])
        dimensions["token_type"] = "output_tokens" if dimensions["cost_type"] == "tokens" else None
    amount = Decimal(
        rng.choice(["0", "1", str(rng.randrange(10**9)), f"{rng.randrange(10**6)}.{rng.randrange(10**12):012d}"])
    )
    discount = Decimal(rng.choice(["0", "0", "3.5", "0.000000000001"]))
    return {
        "user": rng.choice(["u1", "u2", "u3", "nobody"]),
        "dimensions": dimensions,
        "amount": amount,
        "list_amount": amount + discount,
        "output_tokens": rng.randrange(10**6),
        "uncached_input_tokens": rng.randrange(100),
        "requests": rng.choice([None, 1, 5]),
    }


def added_up(lines: list[dict[str, Any]]) -> dict[str, Any]:
    measures = ("amount", "list_amount", "output_tokens", "uncached_input_tokens")
    requests = [line["requests"] for line in lines]
    return {
        "dimensions": lines[0]["dimensions"],
        **{name: sum(line[name] for line in lines) for name in measures},
        "requests": None if None in requests else sum(requests),
    }


def make_row(kind: str, line: dict[str, Any], *, user: str | None = None, query: str = "detail") -> dict[str, Any]:
    dimensions = {"model": None, "product": None} | line["dimensions"] if query != "total" else {}
    if kind == "cost":
        return cost(f"{line['amount']:f}", f"{line['list_amount']:f}", user=user, query=query, **dimensions)
    tokens = {name: line[name] for name in ("uncached_input_tokens", "requests")}
    return usage(line["output_tokens"], user=user, query=query, **tokens, **dimensions)


def register_random_months(w: RawWarehouse, *, seed: int) -> None:
    """Pull the first days of five months of a usage and of a seat plan; the second seed revises the third month."""
    rng = random.Random(seed)
    for organization_id, plan in (("months", "usage"), ("seat-months", "seat")):
        w.organization(organization_id, plan=plan)
        for month in (12, 1, 2, 3, 4) if seed == 1 else (2,):
            start = D.replace(year=2025 if month == 12 else 2026, month=month, day=1)
            fetched = at(start, days_later=10 * seed)
            for kind in ("cost", "usage"):
                users, report = random_answers(rng, kind, start, 6 // seed)
                w.pull(organization_id, f"user_{kind}_report", start, users, days=6 // seed, fetched_at=fetched)
                if (kind, month) != ("usage", 4):  # its first days alone have tokens
                    w.pull(organization_id, f"{kind}_report", start, report, days=6 // seed, fetched_at=fetched)
                    continue
                first = [row for row in report if row["activity_date"] < start + 4 * DAY]
                w.pull(organization_id, f"{kind}_report", start, first, days=4, fetched_at=fetched)
