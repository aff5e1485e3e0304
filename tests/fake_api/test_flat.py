"""The newer pair: actors, null actors, service tiers, order, no cap."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from .helpers import FIVE, WINDOW, Reader, served, spec

DAILY = {**WINDOW, "time_bucket_width": "1d"}


def cost(rows: list[dict[str, Any]]) -> Decimal:
    return sum((Decimal(row["cost"]["amount"]) for row in rows), Decimal(0))


def test_every_combination_is_returned_without_a_cap(calm: Reader) -> None:
    day = {"starting_at": "2026-11-10T00:00:00Z", "ending_at": "2026-11-11T00:00:00Z", "time_bucket_width": "1d"}
    rows = calm.rows("cost", **day, group_by=["actor", "product", "model", "cost_type", "token_type"], limit=100)
    truth = calm.truth(
        "costs", by="user_id,product,model,cost_type,token_type", **{"from": "2026-11-10", "to": "2026-11-10"}
    )["rows"]
    assert len(rows) == len(truth) > 200
    assert cost(rows) == sum(Decimal(row["amount"]) for row in truth)
    assert {row["group"]["actor"] is None for row in rows} == {True, False}


def test_without_dimensions_one_row_covers_whole_hours(calm: Reader) -> None:
    window = {"starting_at": "2026-11-10T00:30:00Z", "ending_at": "2026-11-11T00:45:00Z"}
    (row,) = calm.ok("usage", **window)["data"]
    assert (row["starting_at"], row["ending_at"]) == ("2026-11-10T00:00:00Z", "2026-11-11T00:00:00Z")
    assert row["usage"]["total_tokens"] == calm.truth(**{"from": "2026-11-10", "to": "2026-11-10"})["total_tokens"]
    assert set(row["group"].values()) == {None}


def test_the_actor_type_tells_users_from_nobody(calm: Reader) -> None:
    rows = calm.rows("cost", **WINDOW, group_by=["actor_type"])
    kinds = {row["group"]["actor_type"]: Decimal(row["cost"]["amount"]) for row in rows}
    days = calm.truth("days")["rows"]
    assert kinds == {
        "user_actor": sum(Decimal(day["user_amount"]) for day in days),
        None: sum(Decimal(day["unattributed_amount"]) for day in days),
    }
    assert cost(calm.rows("cost", **WINDOW, actor_types=["user_actor"])) == kinds["user_actor"]


def test_rows_can_be_ordered_by_time(calm: Reader) -> None:
    newest = [
        row["starting_at"] for row in calm.rows("usage", **DAILY, order_by="time", group_by=["product"], limit=1000)
    ]
    assert newest == sorted(newest, reverse=True)
    oldest = [
        row["starting_at"]
        for row in calm.rows("usage", **DAILY, order_by="time", order="asc", group_by=["product"], limit=1000)
    ]
    assert oldest == sorted(oldest)
    ranked = [row["usage"]["total_tokens"] for row in calm.rows("usage", **DAILY, group_by=["product"], limit=1000)]
    assert ranked == sorted(ranked, reverse=True)


def test_five_dimensions_are_allowed_beside_cost_and_token_type(calm: Reader) -> None:
    rows = calm.rows("cost", **WINDOW, group_by=[*FIVE, "cost_type", "token_type"], limit=1000)
    assert cost(rows) == Decimal(calm.truth()["amount"])


def test_actor_ids_and_unknown_places_filter(calm: Reader) -> None:
    user = calm.truth("users")["rows"][0]["user_id"]
    truth = next(row for row in calm.truth("usage", by="user_id")["rows"] if row["user_id"] == user)
    (row,) = calm.ok("usage", **WINDOW, actor_ids=[user])["data"]
    assert row["usage"]["total_tokens"] == truth["total_tokens"]
    assert calm.ok("usage", **WINDOW, agent_ids=["agent_x"])["data"] == []
    assert calm.ok("usage", **WINDOW, service_tiers=["priority"])["data"] == []


@pytest.mark.parametrize("kind", ["enterprise", "platform"])
def test_priority_tier_has_tokens_but_no_cost(kind: str) -> None:
    with served(spec(service_tiers=True, kind=kind)) as server:
        reader = Reader(server)
        usage = {
            row["group"]["service_tier"]: row["usage"]["total_tokens"]
            for row in reader.rows("usage", **WINDOW, group_by=["service_tier"])
        }
        costs = {
            row["group"]["service_tier"]: row["cost"]["amount"]
            for row in reader.rows("cost", **WINDOW, group_by=["service_tier"])
        }
        assert usage["priority"] > 0
        assert "priority" not in costs
        assert Decimal(costs["standard"]) > 0
        truth = {row["service_tier"]: row["total_tokens"] for row in reader.truth("usage", by="service_tier")["rows"]}
        assert usage == truth
        keys = reader.rows("usage", **WINDOW, group_by=["api_key_id", "workspace_id", "actor"])
        assert any(row["group"]["api_key_id"] for row in keys)
        assert any((row["group"]["actor"] or {}).get("type") == "api_actor" for row in keys)
        assert (None in usage) is (kind == "enterprise")


def test_a_platform_organization_has_the_newer_pair_only() -> None:
    with served(spec(kind="platform")) as server:
        reader = Reader(server)
        assert "Enterprise" in reader.refused("user_cost_report", 403, **WINDOW)
        assert "Enterprise" in reader.refused("summaries", 403, starting_date="2026-11-01")
        assert reader.ok("usage", **WINDOW)["data"]
