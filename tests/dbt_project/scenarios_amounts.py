"""How amounts meet: totals, users and groups of one day, as far as the answers tell them.

What belongs here: an organisation whose lines or remainder must come out in one way. What does not: what a price is made
of (`scenarios_prices.py`), when pulls arrive (`scenarios.py`).
"""

from __future__ import annotations

from typing import Any

from tests.dbt_project.raw_rows import DAY, D, RawWarehouse, actor, at, cost, usage


def register_remainder(w: RawWarehouse) -> None:
    """A key beyond its users, a key without users, a part no group tells, a fully discounted one."""
    w.organization("remainder")
    # made while the clock was fast, so it is not the day's truth
    w.pull("remainder", "cost_report", D, [cost("66", query="total")], fetched_at=at(D, days_later=7))
    w.costs(
        "remainder",
        D,
        [cost("10.000000000001", "12", user="u1"), cost("0", "5", user="u2"), cost("1", user=actor(None))],
        [
            cost("50.5", "80", query="total"),
            cost("14.000000000001", "20"),
            cost("30", "40", product="claude_code"),
            cost("0", "3", product="cowork"),
            cost("2", "2", product=None, model=None, cost_type="code_execution", token_type=None),
        ],
    )
    # of the unattributed 40.5: 4 placed in chat, 30 in claude_code, 2 in code execution, 4.5 nowhere


def register_capped(w: RawWarehouse) -> None:
    """100 groups of 120 in the answer, ten of the missing ones in two pieces, which repeat some groups."""
    w.organization("capped")
    keys = [f"model-{number:03d}" for number in range(120)]
    pieces = [cost("9", model=keys[99], query="detail:models[]=x")]
    pieces += [cost("1", model=key, query="detail:models[]=x") for key in keys[100:106]]
    pieces += [cost("1", model=key, query="detail:models[]=yy") for key in keys[104:110]]
    w.costs(
        "capped",
        D,
        [cost("0.25", user="u1", model=keys[0]), cost("0.25", user="u1", model=keys[115])],
        [cost("130", query="total"), *[cost("1", model=key) for key in keys[:100]], *pieces],
    )
    w.organization("nearly-capped")
    w.costs("nearly-capped", D, [], [cost("99", query="total"), *[cost("1", model=key) for key in keys[:99]]])


def register_negative(w: RawWarehouse) -> None:
    """Users beyond the total: by a cent, and by less than dust."""
    w.organization("negative")
    w.costs("negative", D, [cost("10", user="u1")], [cost("9", query="total"), cost("9")])
    w.costs("negative", D + DAY, [cost("10.000000000001", user="u1")], [cost("10", query="total"), cost("10")])


def register_older_forms(w: RawWarehouse) -> None:
    """Older spellings of one name meet in one answer and across answers; no list amounts; `email`."""
    w.organization("older-forms")
    old = actor("u1", email="u1@old.example")
    w.costs(
        "older-forms",
        D,
        [
            cost("4", None, user=old, product="claude_tag", model="claude_opus_4_6"),
            cost("3", None, user=old, product="claude-tag", model="claude-opus-4-6"),
            cost("2", None, user=old, product="other", model="brand_new_model"),
        ],
        [
            cost("10", None, query="total"),
            cost("6", None, product="claude-tag", model="claude_opus_4_6"),
            cost("2", None, product="claude_tag"),
            cost("2", None, product="other", model="brand_new_model"),
        ],
    )
    w.pull(
        "older-forms",
        "user_usage_report",
        D,
        [usage(5, user=old, cache_creation=None, server_tool_use=None, requests=2)],
    )
    w.pull("older-forms", "usage_report", D, [usage(8, query="total", cache_creation=None, requests=None)])


def register_hidden(w: RawWarehouse) -> None:
    """Days whose detail hits the cap, with ever less told by product and model; cents and tokens are the same numbers."""

    def amount(number: int, **fields: Any) -> dict[str, Any]:
        return cost(str(number), **fields)

    w.organization("hidden")
    opus, sonnet = "claude-opus-4-6", "claude-sonnet-4-6"
    for kind, make in (("cost", amount), ("usage", usage)):

        def by(query: str, told: dict[tuple[Any, ...], int], make: Any = make) -> list[dict[str, Any]]:
            return [
                make(number, query=query, **dict(zip(("product", "model"), (*group, None), strict=False)))
                | ({"cost_type": None, "token_type": None} if make is amount else {})
                for group, number in told.items()
            ]

        places = [make(1, inference_geo=f"geo-{number:03d}") for number in range(100)]
        many = {("other", f"model-{number:03d}"): 1 for number in range(100)}
        users = [make(1, user="u1", inference_geo="geo-000"), make(4, user="u1", product="other")]
        days = [
            # what filters cannot reach: a refused product, nulls, and a piece that stays capped
            [
                make(200, query="total"),
                *places,
                *(make(1, inference_geo=f"geo-{n:03d}", query="detail:products[]=chat") for n in range(50, 150)),
                *(make(1, inference_geo=f"geo-{n:03d}", query=f"detail:products[]=chat,models[]={opus}") for n in range(60, 160)),
                *by("by_product_model", {("chat", opus): 163, ("other", opus): 9, ("other", None): 2, (None, opus): 6, (None, None): 8,
                    ("cc_security_autopatch", sonnet): 11}),
            ],
            # the answer by product and model is capped, one of its pieces and the one by product are not
            [
                make(160, query="total"),
                *places,
                *by("by_product_model", many),
                *by("by_product_model:products[]=chat", {("chat", opus): 103, ("chat", sonnet): 10}),
                *by("by_product_model:products[]=other", many),
                *by("by_product", {("chat",): 120, ("other",): 30, (None,): 5}),
            ],
            # all are capped
            [
                make(300, query="total"),
                *places,
                *by("by_product_model", many),
                *by("by_product", {(f"product-{number:03d}",): 1 for number in range(100)}),
            ],
            # as older pulls have it: models without their product
            [
                make(150, query="total"),
                *places,
                *by("by_product", {("chat",): 104, ("other",): 30}),
                *by("by_model:products[]=chat", {(None, opus): 104}),
            ],
        ]  # fmt: skip
        for number, report in enumerate(days):
            w.pull("hidden", f"user_{kind}_report", D + number * DAY, users)
            w.pull("hidden", f"{kind}_report", D + number * DAY, report)


def register_nulls(w: RawWarehouse) -> None:
    """Usage without a user whose dimensions the API gives as null, in whole answers; and two spellings on a capped day."""
    nulls: dict[str, Any] = {"context_window": None, "inference_geo": None, "speed": None}
    reads: dict[str, Any] = {"token_type": "cache_read_input_tokens"}
    inputs: dict[str, Any] = {"token_type": "uncached_input_tokens"}
    search: dict[str, Any] = {"cost_type": "web_search", "token_type": None}
    w.organization("nulls")
    report = [cost("30", **inputs, **nulls), cost("2", **reads, **nulls), cost("5", **search, **nulls)]
    w.costs("nulls", D, [cost("10", user="u1", **inputs, **nulls)], [cost("37", query="total"), *report])
    group = usage(0, uncached_input_tokens=3_000, cache_read_input_tokens=2_000, **nulls)
    searched: dict[str, Any] = {"server_tool_use": {"web_search_requests": 4}}
    w.pull("nulls", "user_usage_report", D, [usage(0, user="u1", uncached_input_tokens=1_000, **nulls)])
    w.pull("nulls", "usage_report", D, [group | {"query": "total"} | searched, group | searched])

    w.organization("spellings")
    others = [cost("1", product=f"product-{number:03d}") for number in range(98)]
    w.costs(
        "spellings",
        D,
        [],
        [
            cost("110", query="total"),
            *others,
            cost("3", product="claude_tag"),
            cost("1", model="claude_opus_4_6"),
            cost("3", product="claude_tag", query="detail:products[]=claude-tag"),
            cost("5", product="claude-tag", query="detail:products[]=claude-tag"),
            cost("1", model="claude_opus_4_6", query="detail:products[]=chat"),
            cost("3", model="claude-opus-4-6", query="detail:products[]=chat"),
        ],
    )


def register_credits(w: RawWarehouse) -> None:
    """What Anthropic takes back from an organisation: as a group below zero, in the total alone, and with an overdraft."""
    w.organization("taken-back")
    group = cost("100")
    back = cost("-5", product=None, model=None, cost_type="credit", token_type=None)
    users = [cost("100", user="u1")]
    w.costs("taken-back", D, users, [cost("95", query="total"), group, back])
    w.costs("taken-back", D + DAY, users, [cost("95", query="total"), group])
    w.costs("taken-back", D + 2 * DAY, [cost("101", user="u1")], [cost("95", query="total"), group, back])
