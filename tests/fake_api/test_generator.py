"""The generated organisation: deterministic, heavy-tailed, with a weekly rhythm; usage and cost of one piece."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from itertools import product
from time import perf_counter

import numpy as np
import pytest

from onelens_claude.fake_api.grouping import group
from onelens_claude.fake_api.organization import Organization
from onelens_claude.fake_api.pricing import FACTOR_UNIT, PRICE_UNITS_PER_CENT, format_amount, models_of, price_table
from onelens_claude.fake_api.truth import cents_per_token

from .helpers import NOW, WINDOW, Reader, results, served, spec, total

WORKDAY = date(2026, 11, 10)


def test_a_day_depends_on_the_seed_alone_not_on_range_clock_or_order() -> None:
    one = Organization(spec(first_day=date(2026, 1, 1)))
    two = Organization(spec(first_day=WORKDAY, last_day=WORKDAY))
    snapshot = one.snapshot(NOW)
    for day in (WORKDAY + timedelta(days=3), WORKDAY - timedelta(days=30)):
        one.full_day(day, snapshot)
    first, second = one.full_day(WORKDAY, snapshot), two.full_day(WORKDAY, two.snapshot(NOW + timedelta(days=90)))
    assert len(first.events) == len(second.events) > 0
    assert (first.amounts == second.amounts).all()
    assert (first.events.counts == second.events.counts).all()


def test_another_seed_is_another_organization() -> None:
    amounts = {
        Organization(spec(seed=seed)).full_day(WORKDAY, Organization(spec()).snapshot(NOW)).amounts.sum()
        for seed in range(5)
    }
    assert len(amounts) == 5


def test_a_growing_clock_only_adds_days(fresh: Reader) -> None:
    before = fresh.rows("cost_report", **WINDOW)
    fresh.control("now", now="2026-12-24T00:00:00Z")
    assert fresh.rows("cost_report", **WINDOW) == before


def test_no_data_lies_outside_the_days_of_the_spec() -> None:
    with served(spec(last_day=date(2026, 10, 31))) as server:
        buckets = Reader(server).rows("cost_report", **WINDOW, bucket_width="1d")
        assert {bucket["starting_at"][:10] for bucket in buckets if bucket["results"]} <= {
            f"2026-10-{day}" for day in range(20, 32)
        }


def test_weekends_are_quiet_and_spend_is_heavy_tailed(calm: Reader) -> None:
    days = calm.truth("days")["rows"]
    weekend = [day["daily_active_user_count"] for day in days if date.fromisoformat(day["day"]).weekday() >= 5]
    week = [day["daily_active_user_count"] for day in days if date.fromisoformat(day["day"]).weekday() < 5]
    assert max(weekend) < min(week)
    spend = sorted(
        (Decimal(row["amount"]) for row in calm.truth("costs", by="user_id")["rows"] if row["user_id"]), reverse=True
    )
    assert sum(spend[: len(spend) // 5]) > sum(spend) / 2


def test_a_small_organization_has_days_with_nobody() -> None:
    with served(spec(users=3, seed=4)) as server:
        reader = Reader(server)
        days = {day["day"]: day["daily_active_user_count"] for day in reader.truth("days")["rows"]}
        empty = next(day for day, count in days.items() if count == 0)
        assert reader.ok("users", date=empty) == {"data": [], "has_more": False, "next_page": None}
        summary = reader.ok(
            "summaries", starting_date=empty, ending_date=str(date.fromisoformat(empty) + timedelta(days=1))
        )
        assert summary["data"][0]["daily_active_user_count"] == 0
        assert summary["data"][0]["monthly_active_user_count"] > 0


def test_usage_grows_over_the_year() -> None:
    organization = Organization(spec(first_day=date(2026, 1, 1)))
    snapshot = organization.snapshot(NOW)

    def tokens(first: date) -> int:
        days = (first + timedelta(days=number) for number in range(28))
        return sum(int(organization.full_day(day, snapshot).events.counts[:, :5].sum()) for day in days)

    assert tokens(date(2026, 10, 1)) > tokens(date(2026, 1, 5))


def test_tokens_times_price_is_the_list_cost(calm: Reader) -> None:
    keys = "product,model,context_window,inference_geo,speed,cost_type,token_type"
    for row in calm.truth("costs", by=keys)["rows"]:
        if row["cost_type"] == "tokens":
            order = (
                "uncached_input_tokens",
                "cache_read_input_tokens",
                "cache_creation.ephemeral_5m_input_tokens",
                "cache_creation.ephemeral_1h_input_tokens",
                "output_tokens",
            )
            price = cents_per_token(row["model"], row["context_window"], row["inference_geo"], row["speed"])[
                order.index(row["token_type"])
            ]
            assert Decimal(row["list_amount"]) == row["quantity"] * price
        elif row["cost_type"] == "web_search":
            assert Decimal(row["list_amount"]) == row["quantity"]


def test_the_price_table_equals_the_published_prices() -> None:
    models = models_of(wide=2)
    table = price_table(models)
    words = {"context": (None, "0-200k", "200k-1M"), "geo": (None, "global", "us"), "speed": (None, "standard", "fast")}
    for (row, model), context, geo, speed in product(enumerate(models, start=1), range(3), range(3), range(3)):
        published = cents_per_token(model.name, words["context"][context], words["geo"][geo], words["speed"][speed])
        assert [Decimal(int(price)) / PRICE_UNITS_PER_CENT for price in table[row, context, geo, speed]] == list(
            published
        )
    assert cents_per_token("claude-opus-4-7", "0-200k", "global", "standard") == tuple(
        Decimal(text) for text in ("0.0005", "0.00005", "0.000625", "0.001", "0.0025")
    )
    assert cents_per_token("claude-opus-4-7", "0-200k", "us", "fast")[4] == Decimal("0.0165")


@pytest.mark.parametrize(
    ("units", "text"),
    [
        (0, "0.000000"),
        (1, "0.000000000001"),
        (41280 * 10**12, "41280.000000"),
        (123456789 * 10**5, "12.345678900000"[:9]),
        (-5 * 10**11, "-0.500000"),
    ],
)
def test_amounts_are_written_exactly(units: int, text: str) -> None:
    assert Decimal(format_amount(units)) == Decimal(units) / 10**12
    if len(text) > 9 or units in {0, 1}:
        assert format_amount(units) == text


def test_sums_by_group_are_exact_beyond_64_bits() -> None:
    size = 100
    keys = np.arange(size, dtype=np.int64) % 3
    amounts = np.full((size, 7), 2**62 + 12345, dtype=np.int64)
    counts = np.ones((size, 8), dtype=np.int64)
    groups = group((keys,), counts, amounts, -amounts)
    assert [groups.amounts.total(row) for row in range(3)] == [7 * count * (2**62 + 12345) for count in (34, 33, 33)]
    assert [groups.listed.value(row, 6) for row in range(3)] == [-count * (2**62 + 12345) for count in (34, 33, 33)]
    high, _low = groups.amounts.totals()
    assert high[0] > high[1] == high[2]
    assert FACTOR_UNIT == 10**5


def test_many_threads_see_the_same_data(calm: Reader) -> None:
    with served() as server, ThreadPoolExecutor(8) as pool:
        reader = Reader(server)
        answers = list(
            pool.map(lambda _: reader.rows("user_cost_report", **WINDOW, group_by=["product"], limit=200), range(16))
        )
    assert all(answer == answers[0] for answer in answers)
    assert answers[0] == calm.rows("user_cost_report", **WINDOW, group_by=["product"], limit=200)


def test_a_thousand_users_for_thirty_days_are_served_in_seconds() -> None:
    with served(spec(users=1000)) as server:
        reader = Reader(server)
        started = perf_counter()
        page = reader.ok(
            "user_cost_report",
            **WINDOW,
            bucket_width="1d",
            limit=1000,
            group_by=["product", "model", "cost_type", "token_type"],
        )
        reader.ok(
            "user_cost_report",
            **WINDOW,
            bucket_width="1d",
            limit=1000,
            group_by=["product", "model", "cost_type", "token_type"],
            page=page["next_page"],
        )
        buckets = reader.rows("cost_report", **WINDOW)
        assert perf_counter() - started < 15
        assert total(results(buckets)) == Decimal(reader.truth()["amount"])
