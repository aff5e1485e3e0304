"""Revisions: a day changes up, down, to nothing, by a new user; from a moment on, and only that day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from onelens_claude.fake_api import Revision

from .helpers import NOW, Reader, results, served, spec, total

DAY = date(2026, 11, 10)


def cost_of(reader: Reader, day: date = DAY, **filters: Any) -> Decimal:
    window = {
        "starting_at": f"{day}T00:00:00Z",
        "ending_at": f"{day + timedelta(days=1)}T00:00:00Z",
        "bucket_width": "1d",
    }
    shown = total(results(reader.ok("cost_report", **window, **filters)["data"]))
    if not filters:
        assert shown == Decimal(reader.truth(**{"from": str(day), "to": str(day)})["amount"])
        users = total(reader.rows("user_cost_report", **window, limit=1000))
        (truth,) = reader.truth("days", **{"from": str(day), "to": str(day)})["rows"]
        assert users == Decimal(truth["user_amount"])
    return shown


def test_a_day_can_go_up_and_down_and_only_that_day(fresh: Reader) -> None:
    before, neighbour = cost_of(fresh), cost_of(fresh, DAY + timedelta(days=1))
    fresh.control("revisions", day=str(DAY), kind="up", percent=50)
    up = cost_of(fresh)
    assert up == pytest.approx(before * Decimal("1.5"), rel=Decimal("0.01"))
    fresh.control("revisions", day=str(DAY), kind="down", percent=50)
    assert cost_of(fresh) < before
    assert cost_of(fresh, DAY + timedelta(days=1)) == neighbour


def test_a_day_can_shrink_to_nothing(fresh: Reader) -> None:
    fresh.control("revisions", day=str(DAY), kind="empty")
    assert cost_of(fresh) == 0
    assert fresh.rows("users", date=str(DAY)) == []
    assert fresh.rows("user_usage_report", starting_at=f"{DAY}T00:00:00Z", ending_at=f"{DAY}T23:00:00Z") == []


def test_a_revision_can_bring_a_new_user(fresh: Reader) -> None:
    people = {row["user_id"] for row in fresh.truth("users", to="2026-11-12")["rows"]}
    before = cost_of(fresh)
    fresh.control("revisions", day=str(DAY), kind="new_user")
    assert cost_of(fresh) > before
    (new,) = {row["user_id"] for row in fresh.truth("users", to="2026-11-12")["rows"]} - people
    window = {"starting_at": f"{DAY}T00:00:00Z", "ending_at": "2026-11-11T00:00:00Z"}
    assert new in {row["actor"]["user_id"] for row in fresh.rows("user_cost_report", **window, limit=1000)}
    assert new in {row["user"]["id"] for row in fresh.rows("users", date=str(DAY), limit=1000)}


def test_a_new_user_can_appear_on_a_day_that_was_empty() -> None:
    sunday = date(2026, 11, 8)
    with served(spec(users=1, revisions=(Revision(sunday, "empty"), Revision(sunday, "new_user")))) as server:
        assert cost_of(Reader(server), sunday) > 0


def test_a_revision_waits_for_its_moment() -> None:
    later = datetime(2026, 11, 25, 6, tzinfo=UTC)
    with served(spec(revisions=(Revision(DAY, "up", effective_at=later),))) as server:
        reader = Reader(server)
        before = cost_of(reader)
        reader.control("now", now="2026-11-25T05:59:59Z")
        assert cost_of(reader) == before
        reader.control("now", now="2026-11-25T06:00:00Z")
        assert cost_of(reader) > before


def test_a_revision_can_touch_one_user_or_one_product(fresh: Reader) -> None:
    chat = cost_of(fresh, products=["chat"])
    code = cost_of(fresh, products=["claude_code"])
    fresh.control("revisions", day=str(DAY), kind="up", product="chat")
    assert cost_of(fresh, products=["chat"]) > chat
    assert cost_of(fresh, products=["claude_code"]) == code
    day = {"from": str(DAY), "to": str(DAY)}
    users = {row["user_id"]: Decimal(row["amount"]) for row in fresh.truth("costs", by="user_id", **day)["rows"]}
    chosen = max((user for user in users if user), key=lambda user: users[user])
    fresh.control("revisions", day=str(DAY), kind="down", percent=90, user_id=chosen)
    after = {row["user_id"]: Decimal(row["amount"]) for row in fresh.truth("costs", by="user_id", **day)["rows"]}
    assert {user for user in users if users[user] != after[user]} == {chosen}


def test_engagement_moves_by_some_percent_without_touching_cost(fresh: Reader) -> None:
    before, cost = fresh.rows("users", date=str(DAY), limit=1000), cost_of(fresh)
    fresh.control("revisions", day=str(DAY), kind="engagement_up", percent=10)
    after = fresh.rows("users", date=str(DAY), limit=1000)
    messages = [sum(row["chat_metrics"]["message_count"] for row in rows) for rows in (before, after)]
    assert messages[1] > messages[0]
    assert cost_of(fresh) == cost
    assert NOW.date() > DAY


def test_a_runaway_spends_from_its_hour_on_and_only_as_far_as_the_data_of_the_running_day_reach(fresh: Reader) -> None:
    person = fresh.truth("users")["rows"][0]["user_id"]
    today: dict[str, Any] = {"starting_at": "2026-11-20T00:00:00Z", "ending_at": "2026-11-21T00:00:00Z"}
    fresh.control("now", now="2026-11-20T17:30:00Z")  # the data reach 13:30
    asked = {**today, "bucket_width": "1h", "group_by": ["product", "model"]}
    before = total(fresh.rows("user_cost_report", **today, user_ids=[person], limit=1000))
    fresh.control("revisions", day="2026-11-20", kind="runaway", user_id=person, from_hour=12, usd_per_hour=60)
    hours: dict[str, Decimal] = {}
    for row in fresh.rows("user_cost_report", **asked, user_ids=[person], limit=1000):
        if (row["product"], row["model"]) == ("claude_code", "claude-opus-4-7"):
            hours[row["starting_at"][11:13]] = Decimal(row["list_amount"])
    assert hours["12"] == pytest.approx(Decimal(6000), rel=Decimal("0.01"))
    assert hours["13"] == pytest.approx(Decimal(3000), rel=Decimal("0.01"))
    after = total(fresh.rows("user_cost_report", **today, user_ids=[person], limit=1000))
    assert after - before == pytest.approx(Decimal(9000), rel=Decimal("0.01"))
    assert total(results(fresh.rows("cost_report", **asked, limit=168))) == Decimal(
        fresh.truth(**{"from": "2026-11-20", "to": "2026-11-20"})["amount"]
    )
    refused = fresh.server.api.tenants[0].organization
    with pytest.raises(ValueError, match="user_id"):
        refused.add_revision(Revision(DAY, "runaway"))
