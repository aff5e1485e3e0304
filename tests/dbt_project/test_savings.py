"""What could be saved: every row of the mart against a second calculation in plain Python.

What belongs here: savings_opportunities as built. What does not: single rules (unit tests beside the models).
"""

from __future__ import annotations

import csv
from collections import defaultdict
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from tests.dbt_project import oracle
from tests.dbt_project.conftest import PROJECT

if TYPE_CHECKING:
    import datetime as dt

    from tests.dbt_project.conftest import Built

FLOOR_CENTS = 100
Part = tuple[Decimal, Decimal | None, bool]
"""What was spent, what it would have cost else, and whether at the organisation's own price."""


def rounded(value: Decimal) -> Decimal:
    return value.quantize(Decimal("1e-12"), ROUND_HALF_UP)


class Spend:
    """Tokens and cents of one organisation and month by (user, product, model, window, place, speed, token type)."""

    def __init__(self, month: dt.date) -> None:
        self.month = month
        self.lines: dict[tuple[Any, ...], list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 3)
        self.requests: dict[tuple[Any, ...], list[Any]] = defaultdict(list)

    def add(self, kind: str, key: tuple[Any, ...], values: tuple[Any, ...]) -> None:
        if kind == "cost" and key[-2] == "tokens" and key[-1] is not None:
            line = self.lines[*key[:-2], key[-1]]
            line[:2] = line[0] + values[0], line[1] + values[1]
        for counter, tokens in zip(oracle.TOKENS, values, strict=False):
            if kind == "usage" and tokens:
                self.lines[*key, oracle.TOKEN_TYPES[counter]][2] += tokens

    def over(self, *places: int) -> dict[tuple[Any, ...], list[Decimal]]:
        """Return the sums by the parts of the key at `places`."""
        sums: dict[tuple[Any, ...], list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 3)
        for key, values in self.lines.items():
            name = tuple(key[place] for place in places)
            sums[name] = [a + b for a, b in zip(sums[name], values, strict=True)]
        return sums


def spend(built: Built) -> dict[tuple[str, dt.date], Spend]:
    facts = {kind: oracle.facts(built, kind) for kind in ("cost", "usage")}
    known = {kind: oracle.complete_days(built, kind) for kind in facts}
    hidden = oracle.partly_detailed_days(facts["cost"], facts["usage"])
    found: dict[tuple[str, dt.date], Spend] = {}
    for kind, of_kind in facts.items():
        for (organization_id, day, user, *dimensions), values in of_kind.items():
            is_seat = built.organizations[organization_id]["plan"] == "seat"
            is_known = all(day in days[organization_id] for days in known.values())
            if not is_seat and is_known and (user is not None or (organization_id, day) not in hidden):
                month = day.replace(day=1)
                found.setdefault((organization_id, month), Spend(month)).add(kind, (user, *dimensions), values)
    for organization_id, month, key, tokens, requests in told_requests(built):
        if (organization_id, month) in found:
            found[organization_id, month].requests[key].append((tokens, requests))
    return found


def told_requests(built: Built) -> list[tuple[str, dt.date, tuple[Any, ...], int, int | None]]:
    """Return each user's usage lines as (organisation, month, (user, product, model), tokens, requests), plain ones."""
    lines = built.query(
        """select organization_id, cast(date_trunc('month', activity_date) as date), user_id, product, model,
            total_tokens, requests
        from marts.fct_claude_usage
        where user_id is not null and coalesce(context_window, '0-200k') = '0-200k'
            and coalesce(inference_geo, 'global') = 'global' and coalesce(speed, 'standard') = 'standard'"""
    )
    return [(row[0], row[1], tuple(row[2:5]), row[5], row[6]) for row in lines]


def list_price(month: dt.date, name: str, token_type: str, *, is_prefix: bool) -> Decimal | None:
    with (PROJECT / "seeds" / "list_prices.csv").open() as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if row["token_type"] == token_type and row["valid_from"][:7] <= f"{month:%Y-%m}"
        ]
    matching = [
        row for row in rows if (name.startswith(row["model_prefix"]) if is_prefix else name in row["model_prefix"])
    ]
    matching.sort(key=lambda row: len(row["model_prefix"]))
    return Decimal(matching[-1]["usd_per_million_tokens"]) / 10000 if matching else None  # cents per token


def at_list(price: Decimal | None, values: list[Decimal]) -> Decimal | None:
    amount, listed, tokens = values
    return (
        rounded(price * tokens * rounded(amount / listed)) if price is not None and listed > 0 and tokens > 0 else None
    )


def premium_parts(month: Spend) -> dict[tuple[str, str], list[Part]]:
    """Return (kind, model) to its parts."""
    parts: dict[tuple[str, str], list[Part]] = defaultdict(list)
    cells = month.over(2, 3, 4, 5, 6)
    plain_values = {1: "0-200k", 2: "global", 3: "standard"}
    for kind, place, dear in (("fast_mode", 3, "fast"), ("us_inference", 2, "us"), ("long_context", 1, "200k-1M")):
        for key, values in cells.items():
            if key[0] is None or key[place] != dear or values[0] <= 0:
                continue
            other = cells.get((*key[:place], plain_values[place], *key[place + 1 :]), [Decimal(0)] * 3)
            is_own = values[2] > 0 and other[2] > 0 and other[0] > 0
            else_plain = all(key[at] in (None, plain) for at, plain in plain_values.items() if at != place)
            cents = (
                rounded(other[0] * values[2] / other[2])
                if is_own
                else at_list(list_price(month.month, key[0], key[4], is_prefix=True), values)
                if else_plain
                else None
            )
            parts[kind, key[0]].append((values[0], cents, is_own))
    return parts


def cache_parts(month: Spend) -> dict[tuple[str, str], list[Part]]:
    prices: dict[tuple[Any, ...], list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 3)
    input_lines = {
        key: values
        for key, values in month.lines.items()
        if key[0] is not None and key[6] != "output_tokens" and values[2] > 0 and values[0] > 0
    }
    for (_user, _product, *dimensions, token_type), values in input_lines.items():
        if token_type == "uncached_input_tokens":
            prices[tuple(dimensions)] = [a + b for a, b in zip(prices[tuple(dimensions)], values, strict=True)]
    spent: dict[tuple[Any, ...], list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 3)
    for (user, product, *dimensions, _token_type), (amount, _listed, tokens) in input_lines.items():
        if tuple(dimensions) in prices:
            price = prices[tuple(dimensions)]
            spent[product, user] = [
                a + b
                for a, b in zip(
                    spent[product, user], (amount, rounded(price[0] * tokens / price[2]), tokens), strict=True
                )
            ]
    parts: dict[tuple[str, str], list[Part]] = defaultdict(list)
    peers = {key: values for key, values in spent.items() if values[2] >= 1_000_000 and values[1] > 0}
    for product in {product for product, _ in peers}:
        shares = {user: rounded(values[0] / values[1]) for (of, user), values in peers.items() if of == product}
        if len(shares) < 6:
            continue
        best = sorted(shares.values())[(len(shares) + 2) // 3 - 1]
        for user, share in shares.items():
            if share > best:
                amount, as_uncached, _ = peers[product, user]
                parts["low_cache_reuse", user].append((amount, rounded(as_uncached * best), True))
    return parts


def model_parts(month: Spend) -> dict[tuple[str, str], list[Part]]:
    below = {"opus": "sonnet", "sonnet": "haiku"}
    plain = {
        key: values
        for key, values in month.lines.items()
        if key[3] in (None, "0-200k") and key[4] in (None, "global") and key[5] in (None, "standard")
        and values[2] > 0 and values[0] > 0
    }  # fmt: skip
    families: dict[tuple[str, str], list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 3)
    for key, values in plain.items():
        for family in ("opus", "sonnet", "haiku"):
            if family in (key[2] or ""):
                families[family, key[6]] = [a + b for a, b in zip(families[family, key[6]], values, strict=True)]
    parts: dict[tuple[str, str], list[Part]] = defaultdict(list)
    for (user, product, model), told in month.requests.items():
        requests = [count for _, count in told]
        family = next((family for family in below if family in (model or "")), None)
        if family is None or None in requests or sum(requests) < 20:
            continue
        if sum(tokens for tokens, _ in told) > 8000 * sum(requests):
            continue
        of_model: list[Part] = []
        for key, values in plain.items():
            if key[:3] == (user, product, model):
                own = families.get((below[family], key[6]))
                price = None if own else list_price(month.month, below[family], key[6], is_prefix=False)
                cents = rounded(own[0] * values[2] / own[2]) if own else at_list(price, values)
                of_model.append((values[0], cents, own is not None))
        saved = [spent - cents for spent, cents, _ in of_model if cents is not None]
        if of_model and (not saved or sum(saved) > 0):
            parts["premium_model", user] += of_model
    return parts


def expected(built: Built) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    rows: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for (organization_id, month), there in spend(built).items():
        for (kind, value), parts in (premium_parts(there) | cache_parts(there) | model_parts(there)).items():
            priced = [part for part in parts if part[1] is not None]
            saved = sum(spent - (cents or 0) for spent, cents, _ in priced) if priced else None
            spent = sum(spent for spent, _, _ in parts)
            sources = {is_own for _, _, is_own in priced}
            source = (
                None
                if not sources
                else "mixed"
                if len(sources) > 1
                else "own_prices"
                if True in sources
                else "list_prices"
            )
            if (spent if saved is None else saved) >= FLOOR_CENTS:
                rows[organization_id, month, kind, value] = (
                    Decimal(spent) / 100,
                    None if saved is None else Decimal(saved) / 100,
                    sum((spent for spent, cents, _ in parts if cents is None), Decimal(0)) / 100,
                    source,
                )
    return rows


def test_every_saving_is_what_python_finds_to_the_last_digit(built: Built) -> None:
    rows = built.query(
        """select organization_id, month, kind, scope_value, spent_usd, avoidable_usd, unpriced_usd, price_source
        from marts.savings_opportunities where kind <> 'idle_seat'"""
    )
    found = expected(built)
    assert {row[:4]: row[4:] for row in rows} == found
    assert {key[2] for key in found} == {
        "fast_mode",
        "us_inference",
        "long_context",
        "low_cache_reuse",
        "premium_model",
    }
    assert {row[3] for row in found.values()} == {"own_prices", "list_prices", "mixed", None}


def test_a_saving_is_never_below_zero_and_says_with_what_it_may_not_be_added_up(built: Built) -> None:
    rows = built.dicts("select * from marts.savings_opportunities")
    assert all(row["avoidable_usd"] is None or 0 <= row["avoidable_usd"] <= row["spent_usd"] for row in rows)
    kinds: dict[tuple[str, dt.date], set[str]] = defaultdict(set)
    for row in rows:
        kinds[row["organization_id"], row["month"]] |= {row["kind"]} - {"idle_seat"}
    for row in rows:
        others = kinds[row["organization_id"], row["month"]] - {row["kind"]} if row["kind"] != "idle_seat" else set()
        assert set(filter(None, (row["overlaps_with"] or "").split(", "))) == others, row


def test_idle_seats_are_counted_and_their_unknown_price_is_no_zero(built: Built) -> None:
    rows = built.query(
        """select organization_id, scope, idle_seat_count, spent_usd, avoidable_usd, evidence, finality
        from marts.savings_opportunities where kind = 'idle_seat'"""
    )
    evidence = "2 of 8 seats had nobody active in the 30 days to 30 Mar"
    assert rows == [("adoption", "organization", 2, None, None, evidence, "provisional")]
