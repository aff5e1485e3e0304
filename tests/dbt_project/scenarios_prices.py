"""What prices are made of: plans, premiums, caches, searches and service tiers.

What belongs here: an organisation whose tokens and cost together must give a price, or none. What does not: how amounts
add up (`scenarios_amounts.py`), when pulls arrive (`scenarios.py`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.dbt_project.raw_rows import DAY, D, RawWarehouse, actor, cost, usage


def register_plans(w: RawWarehouse) -> None:
    """Seats pay no tokens, so users without cost have usage."""
    w.organization("seats", plan="seat")
    w.costs("seats", D, [], [])
    w.pull("seats", "user_usage_report", D, [usage(500, user="u1", requests=3), usage(0, user="u2", requests=None)])
    w.pull("seats", "usage_report", D, [usage(700, query="total", requests=4), usage(600, requests=4)])
    w.organization("usage-only")
    w.pull("usage-only", "user_usage_report", D, [usage(500, user="u1")])
    w.pull("usage-only", "usage_report", D, [usage(500, query="total")])


def register_prices(w: RawWarehouse) -> None:
    """Fast mode and US inference, searches, cache reads beside and without uncached input; service tiers."""
    w.organization("prices")
    fast: dict[str, Any] = {"speed": "fast", "inference_geo": "global"}
    us: dict[str, Any] = {"speed": "standard", "inference_geo": "us"}
    both = {"speed": "fast", "inference_geo": "us"}
    search: dict[str, Any] = {"model": None, "cost_type": "web_search", "token_type": None}
    opus, sonnet = {"model": "claude-opus-4-6"}, {"model": "claude-sonnet-4-5"}
    lines = [
        cost("600", "660", **fast),
        cost("1", "2", **fast, **search),
        cost("11", "11", **us),
        cost("33", "66", **both),
        cost("100", "100", speed="standard", inference_geo="global", token_type="uncached_input_tokens"),
        cost("30", "40", speed="standard", inference_geo="global", token_type="cache_read_input_tokens"),
        cost("7", "7", **sonnet, token_type="cache_read_input_tokens"),
        cost("2.5", "3", **search),
    ]
    total = cost("784.5", "889", query="total")
    spent = [line | {"actor": actor("u1")} for line in lines]
    w.costs("prices", D, spent, [total, *lines])
    tokens = [
        usage(1_000_000, **fast, **opus),
        usage(300_000, **us, **opus),
        usage(
            0, speed="standard", inference_geo="global", uncached_input_tokens=300_000, cache_read_input_tokens=900_000
        ),
        usage(0, **sonnet, cache_read_input_tokens=500_000),
        usage(0, model=None, server_tool_use={"web_search_requests": 3}),
    ]
    w.pull("prices", "user_usage_report", D, [row | {"actor": actor("u1")} for row in tokens])
    w.pull("prices", "usage_report", D, [usage(1_300_000, query="total", uncached_input_tokens=300_000,
           cache_read_input_tokens=1_400_000, server_tool_use={"web_search_requests": 3}), *tokens])  # fmt: skip

    tiers = [
        ("claude-opus-4-6", "priority", {"uncached_input_tokens": 2_000_000}),
        ("claude-opus-4-6", "priority_on_demand", {"output_tokens": 1_000_000}),
        ("claude-opus-4-6", "standard", {"output_tokens": 77}),
        ("unknown-model", "priority", {"output_tokens": 5}),
    ]
    blank = {
        **dict.fromkeys(
            ("uncached_input_tokens", "cache_read_input_tokens", "output_tokens", "requests", "total_tokens"), 0
        ),
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "server_tool_use": {"web_search_requests": 0},
    }
    w.pull(
        "prices",
        "usage",
        D,
        [{"group": {"model": model, "service_tier": tier}, "usage": blank | told} for model, tier, told in tiers],
    )


def register_premiums(w: RawWarehouse) -> None:
    """Models that are paid with a premium and without, on the same day, on another day, never."""
    w.organization("premiums")
    plain, fast = {"speed": "standard", "inference_geo": "global"}, {"speed": "fast", "inference_geo": "global"}
    us = {"speed": "standard", "inference_geo": "us"}
    haiku, sonnet = {"model": "claude-haiku-4-5"}, {"model": "claude-sonnet-4-6"}
    search: dict[str, Any] = {"model": None, "cost_type": "web_search", "token_type": None}
    days = [
        (
            [
                cost("100", **plain),
                cost("54", "60", **fast),
                cost("2", **fast, **search),
                cost("11", **us),
                cost("10", **haiku, **plain),
                cost("12", **haiku, **us),
            ],
            [
                usage(1_000_000, **plain),
                usage(100_000, **fast),
                usage(100_000, **us),
                usage(100_000, **haiku, **plain),
                usage(100_000, **haiku, **us),
            ],
        ),
        ([cost("60", **fast)], [usage(100_000, **fast)]),
        ([cost("60", **fast), cost("7", **sonnet, **fast)], [usage(100_000, **fast), usage(9, **sonnet, **fast)]),
    ]
    for number, (costs, tokens) in enumerate(days):
        cents = str(sum(Decimal(line["amount"]) for line in costs))
        listed = str(sum(Decimal(line["list_amount"]) for line in costs))
        spent = [line | {"actor": actor("u1")} for line in costs]
        w.costs("premiums", D + number * DAY, spent, [cost(cents, listed, query="total"), *costs])
        count = sum(row["output_tokens"] for row in tokens)
        used = [row | {"actor": actor("u1")} for row in tokens]
        w.pull("premiums", "user_usage_report", D + number * DAY, used)
        w.pull("premiums", "usage_report", D + number * DAY, [usage(count, query="total"), *tokens])


def register_hidden_prices(w: RawWarehouse) -> None:
    """A product that no filter reaches: its tokens and searches are told by key, their cost by product and model alone."""
    search: dict[str, Any] = {"model": None, "cost_type": "web_search", "token_type": None}
    key: dict[str, Any] = {"context_window": "0-200k", "speed": "standard"}
    w.organization("hidden-prices")
    w.costs(
        "hidden-prices",
        D,
        [cost("2500", user="u1", **key), cost("4", user="u1", **key, **search)],
        [
            cost("2604", query="total"),
            cost("2500", **key),
            cost("4", **key, **search),
            *(cost("0", product=f"product-{number:03d}") for number in range(98)),
            cost("100", query="by_product_model", product="other", cost_type=None, token_type=None),
        ],
    )
    searches: dict[str, Any] = {"server_tool_use": {"web_search_requests": 4}}
    w.pull("hidden-prices", "user_usage_report", D, [usage(1_000_000, user="u1", **key, **searches)])
    others: dict[str, Any] = {"product": "other", "server_tool_use": {"web_search_requests": 8}}
    both = {"server_tool_use": {"web_search_requests": 12}}
    report = [
        usage(1_040_000, query="total", **both),
        usage(1_000_000, **key, **searches),
        usage(40_000, **key, **others),
    ]
    w.pull("hidden-prices", "usage_report", D, report)

    w.organization("credits", plan="seat")
    w.costs("credits", D, [cost("1", user="u1", **search)], [cost("1", query="total"), cost("1", **search)])
    searched: dict[str, Any] = {"server_tool_use": {"web_search_requests": 40}}
    w.pull("credits", "user_usage_report", D, [usage(9, user="u1", **searched)])
    w.pull("credits", "usage_report", D, [usage(9, query="total", **searched), usage(9, **searched)])


def register_changes(w: RawWarehouse) -> None:
    """One day of two months: another price, another discount, a model that comes and one that goes, beside one that stays."""
    w.organization("changes")
    haiku, sonnet = {"model": "claude-haiku-4-5"}, {"model": "claude-sonnet-4-6"}
    months = [
        (
            [cost("77.7", "100"), cost("3.3", "3.3", speed="fast"), cost("0.7", **haiku)],
            [usage(700), usage(11, speed="fast"), usage(13, **haiku)],
        ),
        (
            [cost("123.456789012", "130"), cost("9.1", "9.2", speed="fast"), cost("0.9", **sonnet)],
            [usage(777), usage(17, speed="fast"), usage(19, **sonnet)],
        ),
    ]
    for month, (costs, tokens) in zip((2, 3), months, strict=True):
        day = D.replace(month=month, day=1)
        cents = str(sum(Decimal(line["amount"]) for line in costs))
        listed = str(sum(Decimal(line["list_amount"]) for line in costs))
        spent = [line | {"actor": actor("u1")} for line in costs]
        w.costs("changes", day, spent, [cost(cents, listed, query="total"), *costs])
        count = sum(row["output_tokens"] for row in tokens)
        w.pull("changes", "user_usage_report", day, [row | {"actor": actor("u1")} for row in tokens])
        w.pull("changes", "usage_report", day, [usage(count, query="total"), *tokens])


def register_savings(w: RawWarehouse) -> None:
    """Premiums beside their plain price, beside a list price and beside none; caches used well and badly; short requests."""
    w.organization("savings")
    plain = {"speed": "standard", "inference_geo": "global", "context_window": "0-200k"}
    haiku, sonnet, unknown = ({"model": name} for name in ("claude-haiku-4-5", "claude-sonnet-4-6", "new-model"))
    us = {"inference_geo": "us"}
    spent: list[tuple[str, dict[str, Any], dict[str, int], list[str]]] = [
        # user, dimensions, tokens by counter, cents by token type in the same order
        ("u1", plain, {"output_tokens": 900_000, "uncached_input_tokens": 70_000}, ["2111", "33.3"]),
        ("u1", plain | {"speed": "fast"}, {"output_tokens": 70_000, "uncached_input_tokens": 7}, ["1050.7", "0.1"]),
        ("u1", plain | us, {"output_tokens": 500_000}, ["1399"]),
        ("u1", plain | {"context_window": "200k-1M"}, {"output_tokens": 130_001}, ["487.5"]),
        ("u1", plain | {"speed": "fast", "inference_geo": "us"}, {"output_tokens": 50_000}, ["800"]),
        ("u2", plain | haiku | us, {"output_tokens": 2_000_000}, ["1100"]),
        # of one kind of token the organisation knows its own price, of the other the list's
        ("u2", plain | sonnet, {"uncached_input_tokens": 500_000}, ["150"]),
        ("u2", plain | sonnet | us, {"uncached_input_tokens": 900_000, "output_tokens": 900_000}, ["297", "1485"]),
        ("u2", plain | unknown | {"speed": "fast"}, {"output_tokens": 3_000}, ["250"]),
    ]
    for number in range(7):
        cached = {"uncached_input_tokens": 1_000_000 * number + 50_001, "cache_read_input_tokens": 3_000_000}
        cents = [str(number * Decimal(500) + Decimal("25.0005")), "150"]
        spent.append((f"p{number}", plain | {"product": "claude_code"}, cached, cents))
    users, tokens = [], []
    for user, dimensions, counters, cents in spent:
        for counter, amount in zip(counters, cents, strict=True):
            listed = str(Decimal(amount) + 7) if user == "u2" else amount
            users.append(cost(amount, listed, user=user, token_type=counter, **dimensions))
        tokens.append(usage(user=user, **({"output_tokens": 0, "requests": 300} | dimensions | counters)))
    day = D.replace(month=2, day=1)
    sums = {name: str(sum(Decimal(row[name]) for row in users)) for name in ("amount", "list_amount")}
    w.costs("savings", day, users, [cost(sums["amount"], sums["list_amount"], query="total")])
    w.pull("savings", "user_usage_report", day, tokens)
    counted = {
        name: sum(row[name] for row in tokens)
        for name in ("output_tokens", "uncached_input_tokens", "cache_read_input_tokens")
    }
    w.pull("savings", "usage_report", day, [usage(query="total", **counted)])
