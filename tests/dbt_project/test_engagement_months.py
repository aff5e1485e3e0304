"""The engagement marts against the local server's own truth: months of people, idle seats and what a unit of work costs.

What belongs here: figures of a month or of a span up to now, from real pages, landed by the real code, built by the real dbt. What does not: single days (`test_engagement.py`, `test_engagement_tools.py`)
and single rules with named rows (the unit tests beside the models).
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from typing import TYPE_CHECKING

from tests.dbt_project.engagement_world import BETA_LATEST, DAY, JANUARY, LAST, NULL_BLOCK_DAY, truth_users

if TYPE_CHECKING:
    from tests.dbt_project.engagement_world import BuiltWorld


def test_a_whole_month_tells_segments_and_a_running_one_does_not(world: BuiltWorld) -> None:
    active: Counter[tuple[str, dt.date]] = Counter()
    for day, user_id in truth_users(world):
        active[user_id, day.replace(day=1)] += 1
    rows = world.query(
        "select user_id, month, active_day_count, segment, is_complete from marts.user_monthly_adoption where organization_id = 'acme'"
    )
    assert {(user_id, month): count for user_id, month, count, *_ in rows if count} == dict(active)
    for _, month, count, segment, is_complete in rows:
        assert is_complete == (month == JANUARY)
        # the history begins in January: nobody can be known as new
        expected = "power" if count >= 12 else "regular"
        assert segment == (expected if is_complete else None)
    assert {segment for *_, segment, _ in rows} == {"power", "regular", None}


def test_idle_seats_and_users_follow_from_the_last_activity(world: BuiltWorld) -> None:
    last = {user_id: day for day, user_id in sorted(truth_users(world))}
    gone = {
        user_id
        for (user_id,) in world.query(
            "select user_id from marts.dim_claude_users where is_deleted and organization_id = 'acme'"
        )
    }
    assert gone & set(last)
    users = world.query(
        "select user_id, last_known_activity_date, idle_day_count, is_idle_30_days, is_idle_60_days from marts.idle_users where organization_id = 'acme'"
    )
    assert {user_id: day for user_id, day, *_ in users} == {one: day for one, day in last.items() if one not in gone}
    for _, day, idle, is_idle, is_long_idle in users:
        assert idle == (LAST - day).days
        assert is_idle == (idle >= 30)
        assert is_long_idle is False, "42 days of history hold no 60 idle ones, but every activity in them is known"
    seats = world.truth["acme"][-1]["assigned_seat_count"]
    active = sum(1 for one, day in last.items() if one not in gone and day > LAST - 30 * DAY)
    assert world.query(
        """select idle_after_day_count, assigned_seat_count, active_user_count, idle_seat_count, known_idle_user_count
        from marts.idle_seats where organization_id = 'acme' order by 1"""
    ) == [
        (30, seats, active, max(seats - active, 0), len(users) - active),
        (60, seats, None, None, None),
        (90, seats, None, None, None),
    ]


def per_unit(cents: Decimal, units: int, multiplier: int = 1) -> Decimal | None:
    """Divide as the marts promise: half away from zero at the 12th digit of a cent, then to dollars."""
    if not units:
        return None
    with localcontext(Context(prec=60)):
        return (cents * multiplier / units).quantize(Decimal(1).scaleb(-12), ROUND_HALF_UP).scaleb(-2)


def test_unit_economics_are_the_servers_cost_over_the_servers_counts(world: BuiltWorld) -> None:
    row = world.dicts(
        "select * from marts.org_monthly_unit_economics where organization_id = 'acme' and month = ?", JANUARY
    )[0]
    users = {key: told for key, told in truth_users(world).items() if key[0].month == 1}
    with localcontext(Context(prec=60)):
        total = sum((Decimal(one["amount"]) for one in world.days if one["day"] < "2026-02"), Decimal(0))
        costs: dict[str, Decimal] = defaultdict(Decimal)
        chat_where_told = Decimal(0)
        for one in world.costs:
            day = dt.date.fromisoformat(one["day"])
            if (day, one["user_id"]) not in users:
                continue
            costs["all"] += Decimal(one["amount"])
            costs[str(one["product"])] += Decimal(one["amount"])
            if one["product"] == "chat" and day != NULL_BLOCK_DAY:
                chat_where_told += Decimal(one["amount"])
    people = len({user_id for _, user_id in users})
    counts = {
        "session": sum(told["session_count"].get("claude_code", 0) for told in users.values()),
        "commit": sum(told["commit_count"] for told in users.values()),
        "pull_request": sum(told["pull_request_count"] for told in users.values()),
        "100_accepted_lines": sum(told["lines_added"] for told in users.values()),
    }
    assert row["covered_day_count"] == 31
    assert row["is_complete"]
    assert row["total_cost_usd"] == total.scaleb(-2, Context(prec=60))
    assert row["active_user_cost_usd"] == costs["all"].scaleb(-2, Context(prec=60))
    assert row["active_user_count"] == people
    assert row["direct_cost_per_active_user_usd"] == per_unit(costs["all"], people)
    assert row["allocated_cost_per_active_user_usd"] == per_unit(total, people)
    for unit, count in counts.items():
        multiplier = 100 if unit.startswith("100") else 1
        prefix = "claude_code_" if unit == "session" else ""
        assert row[f"direct_claude_code_cost_per_{unit}_usd"] == per_unit(costs["claude_code"], count, multiplier), unit
        assert row[f"allocated_cost_per_{prefix}{unit}_usd"] == per_unit(total, count, multiplier), unit
    # the day whose chat messages are not told is in neither side of the direct price, and leaves the allocated one open
    chat = sum(told["message_count"].get("chat", 0) for (day, _), told in users.items() if day != NULL_BLOCK_DAY)
    assert row["direct_chat_cost_per_message_usd"] == per_unit(chat_where_told, chat)
    assert row["message_count"] is None
    assert row["allocated_cost_per_message_usd"] is None
    cowork = sum(told["message_count"].get("cowork", 0) for told in users.values())
    assert row["direct_cowork_cost_per_message_usd"] == per_unit(costs["cowork"], cowork)


def test_a_month_with_late_days_tells_no_people_and_only_its_covered_days(world: BuiltWorld) -> None:
    rows = world.dicts("select * from marts.org_monthly_unit_economics where month > ?", JANUARY)
    by_name = {row["organization_id"]: row for row in rows}
    assert by_name["beta"]["last_covered_date"] == BETA_LATEST
    for row in rows:
        assert row["active_user_count"] is None
        assert row["direct_cost_per_active_user_usd"] is None
        assert row["known_active_user_count"] > 0
        assert row["finality"] == "incomplete"
    events = world.query(
        """select sum(claude_code_commit_count) from marts.user_daily_engagement
        where organization_id = 'beta' and activity_date between date '2026-02-01' and ?""",
        by_name["beta"]["last_covered_date"],
    )
    assert events == [(by_name["beta"]["commit_count"],)]


def test_users_months_add_up_to_the_organisations(world: BuiltWorld) -> None:
    assert world.query(
        """with users as (
            select organization_id, month, sum(active_user_cost_usd) as cost, sum(commit_count) as commits
            from marts.user_monthly_unit_economics group by all
        )
        select count(*), count(*) filter (cost <> active_user_cost_usd or commits <> commit_count)
        from marts.org_monthly_unit_economics join users using (organization_id, month)"""
    ) == [(4, 0)]
