"""The organisations of the test warehouse, one per thing to prove, and when their pulls arrive (stages 1, 2, 3).

Each stage ends with a dbt build, so stages 2 and 3 are built incrementally.
"""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal
from typing import Any

from tests.dbt_project.raw_rows import DAY, RawWarehouse, activity, actor, at, cost, usage

D = dt.date(2026, 3, 30)
"""The first day of every scenario; the month ends on the next."""


def person(user_id: str, email: str | None, name: str | None, *, deleted: bool | None = False) -> dict[str, Any]:
    return actor(user_id, email_address=email, name=name, deleted=deleted)


BUDGETS = [
    ("month", "*", "organization", None, "monthly", Decimal("0.30"), [25, 50, 100]),
    ("week", "*", "user", "*", "weekly", Decimal("0.05"), [100, 150]),
    ("day", "*", "product", "*", "daily", Decimal("0.07"), [50, 80]),
    ("model", "random-a", "model", "claude-opus-4-6", "monthly", Decimal("0.11"), [10, 1000]),
    ("address", "people", "user", "Before@x.example", "monthly", Decimal("0.01"), [100]),
    ("nobody", "people", "user", "nobody@x.example", "monthly", Decimal("0.01"), [100]),
    ("elsewhere", "no-such-organization", "organization", None, "monthly", Decimal(1), [100]),
]
"""Budget, organisation, scope, value, period, limit, thresholds: some that these organisations cross."""


def register_stage_1(w: RawWarehouse) -> None:
    w.budgets = BUDGETS
    # shrinking: one day that loses a user, one that shrinks to nothing, one that stays
    w.organization("shrinking")
    for day in (D, D + DAY, D + 2 * DAY):
        w.costs(
            "shrinking", day, [cost("10.5", user="u1"), cost("7", user="u2")], [cost("20", query="total"), cost("20")]
        )
        w.pull("shrinking", "user_usage_report", day, [usage(100, user="u1"), usage(50, user="u2")])
        w.pull("shrinking", "usage_report", day, [usage(160, query="total"), usage(160)])

    # remainder: a key beyond its users, a key without users, a part no group tells, a fully discounted one
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

    # capped: 100 groups of 120 in the answer, ten of the missing ones in two pieces, which repeat some groups
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

    register_hidden(w)
    register_hidden_prices(w)
    register_nulls(w)
    register_credits(w)

    # answers missing: no users' answer, no total, neither but a failed pull, an empty day
    w.organization("partial")
    w.pull("partial", "cost_report", D, [cost("20", query="total"), cost("15")])
    w.pull("partial", "user_cost_report", D + DAY, [cost("3", user="u1")])
    w.pull("partial", "cost_report", D + DAY, [cost("99", query="total")], status="failed")
    w.pull("partial", "cost_report", D + 2 * DAY, [cost("99", query="total")], status="failed")
    w.costs("partial", D + 3 * DAY, [], [])
    w.organization("negative")
    w.costs("negative", D, [cost("10", user="u1")], [cost("9", query="total"), cost("9")])
    w.costs("negative", D + DAY, [cost("10.000000000001", user="u1")], [cost("10", query="total"), cost("10")])

    # forms: older spellings of one name meet in one answer and across answers; no list amounts; `email`
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

    # finality: before the day's end, after it, without a stamp, after the revision days
    w.organization("finality", revision_days=10)
    for number, (fetched, refreshed) in enumerate(
        [
            (at(D, days_later=1, hour=3), at(D, hour=23)),
            (at(D, days_later=2, hour=3), at(D, days_later=2)),
            (at(D, days_later=4), None),
            (at(D, days_later=4) + dt.timedelta(hours=23), None),
            (at(D, days_later=15), at(D, days_later=15)),
            (at(D, days_later=15, hour=23), at(D, days_later=15, hour=23)),
        ]
    ):
        rows = [cost("1", user="u1")], [cost("1", query="total"), cost("1")]
        w.costs("finality", D + number * DAY, *rows, fetched_at=fetched, data_refreshed_at=refreshed)
    w.pull("finality", "cost_report", D + 6 * DAY, [cost("1", query="total")], fetched_at=at(D, days_later=60))
    w.pull("finality", "user_cost_report", D + 6 * DAY, [cost("1", user="u1")], fetched_at=at(D, days_later=8))

    # people: renamed, deleted, departed, nameless, returned; one of them in two organisations
    for organization_id in ("people", "people-too"):
        w.organization(organization_id)
    first = [
        cost("1", user=person("renamed", "before@x.example", "Before")),
        cost("1", user=person("deleted", "secret@x.example", "Secret")),
        cost("1", user=person("departed", "left@x.example", "Left")),
        cost("1", user=person("departed-quiet", "quiet@x.example", "Quiet")),
        cost("1", user=person("nameless", None, None)),
        cost("1", user=person("deleted-old-form", "old-secret@x.example", "Old Secret", deleted=None)),
    ]
    w.costs("people", D, first, [cost("6", query="total"), cost("6")], api_organization_id="org_old")
    w.costs("people-too", D, [cost("1", user=person("deleted", "kept@y.example", "Kept"))], [cost("1", query="total")])
    w.pull("people", "users", D, [{"user": {"id": "renamed", "email_address": "before@x.example", "email": None}}])

    # plans: seats pay no tokens, so users without cost have usage
    w.organization("seats", plan="seat")
    w.costs("seats", D, [], [])
    w.pull("seats", "user_usage_report", D, [usage(500, user="u1", requests=3), usage(0, user="u2", requests=None)])
    w.pull("seats", "usage_report", D, [usage(700, query="total", requests=4), usage(600, requests=4)])
    w.organization("usage-only")
    w.pull("usage-only", "user_usage_report", D, [usage(500, user="u1")])
    w.pull("usage-only", "usage_report", D, [usage(500, query="total")])

    # prices: fast mode and US inference, searches, cache reads beside and without uncached input
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

    register_premiums(w)
    w.organization("adoption")
    w.pull(
        "adoption",
        "summaries",
        D,
        [
            {
                "assigned_seat_count": 8,
                "daily_active_user_count": 2,
                "monthly_active_user_count": 6,
                "daily_adoption_rate": 25.0,
            },
            {"activity_date": D + DAY, "assigned_seat_count": 0, "daily_active_user_count": 0},
        ],
        days=2,
    )
    register_random_pulls(w, seed=1)
    register_working(w, stage=1)


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


def register_stage_2(w: RawWarehouse) -> None:
    later: dict[str, Any] = {"fetched_at": at(D, days_later=8)}
    w.costs("shrinking", D, [cost("10.5", user="u1")], [cost("12", query="total"), cost("12")], **later)
    for endpoint in ("user_cost_report", "cost_report", "user_usage_report", "usage_report"):
        w.pull("shrinking", endpoint, D + DAY, [], **later)

    second = [
        cost("1", user=person("renamed", "after@x.example", "After")),
        cost("1", user=person("deleted", None, "Deleted User", deleted=True)),
        cost("1", user=person("departed", "left@x.example", "Left", deleted=True)),
        cost("1", user=person("departed-quiet", None, "Quiet", deleted=True)),
        cost("1", user=person("deleted-old-form", None, "Deleted User", deleted=None)),
    ]
    w.costs("people", D + DAY, second, [cost("5", query="total"), cost("5")], api_organization_id="org_new", **later)
    # a pull that failed is not the day's truth
    w.pull("remainder", "cost_report", D, [cost("77", query="total")], status="failed", **later)
    # the missing answers arrive
    w.pull("partial", "cost_report", D + DAY, [cost("4", query="total")], **later)
    w.organizations["seats"]["plan"] = "usage"
    register_random_pulls(w, seed=2)
    register_working(w, stage=2)


def register_stage_3(w: RawWarehouse) -> None:
    # an older payload is replayed: asked again for an old day, it still shows the readable addresses
    replayed = [
        cost("1", user=person("deleted", "secret@x.example", "Secret")),
        cost("1", user=person("deleted-old-form", "old-secret@x.example", "Old Secret")),
    ]
    w.costs("people", D, replayed, [cost("2", query="total"), cost("2")], fetched_at=at(D, days_later=20))
    w.pull(
        "people",
        "users",
        D + DAY,
        [{"user": {"id": "deleted", "email_address": "secret@x.example", "email": None}}],
        fetched_at=at(D, days_later=21),
    )
    # a pull without any row, the newest of the ledger
    w.pull("shrinking", "cost_report", D + 2 * DAY, [], fetched_at=at(D, days_later=30))
    w.pull("shrinking", "user_cost_report", D + 2 * DAY, [], fetched_at=at(D, days_later=30))
    register_random_pulls(w, seed=3)
    register_working(w, stage=3)
    w.pull("shrinking", "usage_report", D + 2 * DAY, [], fetched_at=at(D, days_later=30))


def register_working(w: RawWarehouse, stage: int) -> None:
    """Pull the answers of an organisation at work: two months, then revisions of the older one, then a new day."""
    w.organization("working")
    first, shrunk, changed, new = (D.replace(month=month, day=day) for month, day in ((2, 1), (2, 10), (2, 24), (4, 1)))
    people = {number: ["u1"] + ["u2"] * (number % 3 == 0) + ["u3"] * (number == 50) for number in range(59)}
    if stage == 1:
        for number, users in people.items():
            register_work(w, first + number * DAY, users)
    if stage == 2:
        later = at(D, days_later=10)
        register_work(w, shrunk, [], fetched_at=later)
        register_work(w, changed, ["u2", "u4"], cents=7, fetched_at=later)
    if stage == 3:
        register_work(w, new, ["u1", "u4"])


def register_work(w: RawWarehouse, day: dt.date, users: list[str], *, cents: int = 3, **pull: Any) -> None:
    w.pull("working", "users", day, [activity(user, chat=cents, cowork=1) for user in users], **pull)
    total = str(cents * len(users))
    report = [cost(total, query="total"), cost(total)] if users else []
    w.costs("working", day, [cost(str(cents), user=user) for user in users], report, **pull)
    w.pull("working", "user_usage_report", day, [usage(cents, user=user) for user in users], **pull)
    w.pull("working", "usage_report", day, [usage(cents * len(users), query="total")] if users else [], **pull)


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
