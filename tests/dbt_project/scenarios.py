"""The organisations of the test warehouse, one per thing to prove, and when their pulls arrive (stages 1, 2, 3).

Each stage ends with a dbt build, so stages 2 and 3 are built incrementally.

What belongs here: the stages, and organisations of which it matters when an answer came. What does not: how amounts add
up (`scenarios_amounts.py`), what prices are made of (`scenarios_prices.py`), chance (`scenarios_random.py`).
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from tests.dbt_project import scenarios_amounts, scenarios_prices
from tests.dbt_project.raw_rows import DAY, D, RawWarehouse, activity, actor, at, cost, usage
from tests.dbt_project.scenarios_random import register_random_months, register_random_pulls

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
TEAM_BUDGETS = [
    ("team", "*", "team", "*", "monthly", Decimal("0.05"), [50, 100], False),
    ("nobodys", "*", "team", "(unattributed)", "monthly", Decimal("0.01"), [100], False),
]
_FIRST, _LAST = dt.date.min, dt.date.max
TEAM_MAP = [
    ("u1", False, "Research", "4711", _FIRST, D + 3 * DAY, Decimal("33.3333")),
    ("u1", False, "Operations", None, _FIRST, D + 3 * DAY, Decimal("33.3333")),
    ("u1", False, "Sales", "4712", _FIRST, D + 3 * DAY, Decimal("33.3334")),
    ("u1", False, "Sales", "4713", D + 4 * DAY, _LAST, Decimal(100)),
    ("u*", True, "Research", "4711", _FIRST, D + 5 * DAY, Decimal(100)),
    ("before@x.example", False, "Old", None, _FIRST, _LAST, Decimal(100)),
    ("*@x.example", True, "People", None, _FIRST, _LAST, Decimal(100)),
    ("kept@y.example", False, "Elsewhere", None, _FIRST, _LAST, Decimal(100)),
]
"""Match, is it a pattern, team, cost centre, first and last day, percent: a split, a move and patterns."""


def register_stage_1(w: RawWarehouse) -> None:
    w.budgets = [(*budget, budget[0] == "month") for budget in BUDGETS] + TEAM_BUDGETS
    w.team_map = TEAM_MAP
    register_shrinking(w)
    scenarios_amounts.register_remainder(w)
    scenarios_amounts.register_capped(w)
    scenarios_amounts.register_hidden(w)
    scenarios_prices.register_hidden_prices(w)
    scenarios_amounts.register_nulls(w)
    scenarios_amounts.register_credits(w)
    register_partial(w)
    scenarios_amounts.register_negative(w)
    scenarios_amounts.register_older_forms(w)
    register_finality(w)
    register_people(w)
    scenarios_prices.register_plans(w)
    scenarios_prices.register_prices(w)
    scenarios_prices.register_premiums(w)
    scenarios_prices.register_changes(w)
    scenarios_prices.register_savings(w)
    register_adoption(w)
    register_random_pulls(w, seed=1)
    register_random_months(w, seed=1)
    register_working(w, stage=1)


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
    register_random_months(w, seed=2)
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


def register_shrinking(w: RawWarehouse) -> None:
    """One day that loses a user, one that shrinks to nothing, one that stays."""
    w.organization("shrinking")
    for day in (D, D + DAY, D + 2 * DAY):
        w.costs(
            "shrinking", day, [cost("10.5", user="u1"), cost("7", user="u2")], [cost("20", query="total"), cost("20")]
        )
        w.pull("shrinking", "user_usage_report", day, [usage(100, user="u1"), usage(50, user="u2")])
        w.pull("shrinking", "usage_report", day, [usage(160, query="total"), usage(160)])


def register_partial(w: RawWarehouse) -> None:
    """Answers missing: no users' answer, no total, neither but a failed pull, an empty day."""
    w.organization("partial")
    w.pull("partial", "cost_report", D, [cost("20", query="total"), cost("15")])
    w.pull("partial", "user_cost_report", D + DAY, [cost("3", user="u1")])
    w.pull("partial", "cost_report", D + DAY, [cost("99", query="total")], status="failed")
    w.pull("partial", "cost_report", D + 2 * DAY, [cost("99", query="total")], status="failed")
    w.costs("partial", D + 3 * DAY, [], [])


def register_finality(w: RawWarehouse) -> None:
    """Before the day's end, after it, without a stamp, after the revision days."""
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


def register_people(w: RawWarehouse) -> None:
    """Renamed, deleted, departed, nameless, returned; one of them in two organisations."""
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


def person(user_id: str, email: str | None, name: str | None, *, deleted: bool | None = False) -> dict[str, Any]:
    return actor(user_id, email_address=email, name=name, deleted=deleted)


def register_adoption(w: RawWarehouse) -> None:
    """Two days of seats and active users, one without seats."""
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
