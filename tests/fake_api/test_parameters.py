"""Parameters: what is refused with a 400 that names the parameter, and what is let through."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from .helpers import WINDOW, Reader, served, spec

COST = "user_cost_report"


@pytest.mark.parametrize(
    ("path", "changes", "named"),
    [
        (COST, {"group_by": ["colour"]}, "group_by[]"),
        ("user_usage_report", {"group_by": ["cost_type"]}, "group_by[]"),
        ("usage_report", {"group_by": ["token_type"]}, "group_by[]"),
        (COST, {"products": ["claude_tag"]}, "products[]"),
        (COST, {"speeds": ["slow"]}, "speeds[]"),
        (COST, {"context_windows": ["1M"]}, "context_windows[]"),
        (COST, {"inference_geos": ["eu"]}, "inference_geos[]"),
        (COST, {"limit": 0}, "limit"),
        (COST, {"limit": 1001}, "limit"),
        (COST, {"limit": "many"}, "limit"),
        (COST, {"order_by": "requests"}, "order_by"),
        ("user_usage_report", {"order_by": "amount"}, "order_by"),
        (COST, {"order": "up"}, "order"),
        (COST, {"exclude_deleted_users": "maybe"}, "exclude_deleted_users"),
        (COST, {"bucket_width": "1w"}, "bucket_width"),
        (COST, {"surprise": 1}, "surprise"),
        (COST, {"filter": ["user_id:x"]}, "filter"),
        ("cost_report", {"order_by": "amount"}, "order_by"),
        ("cost_report", {"limit": 32, "bucket_width": "1d"}, "limit"),
        ("cost_report", {"limit": 169, "bucket_width": "1h"}, "limit"),
        (COST, {"starting_at": "2026-10-20"}, "starting_at"),
        (COST, {"starting_at": "2026-10-20T00:00:00"}, "starting_at"),
        (COST, {"starting_at": "soon"}, "starting_at"),
        (COST, {"page": "page_zzz"}, "page"),
        ("cost", {"bucket_width": "1d"}, "bucket_width"),
        ("cost", {"group_by": ["actor", "product", "model", "speed", "inference_geo", "context_window"]}, "group_by[]"),
        ("cost", {"exclude_deleted_users": "true"}, "exclude_deleted_users"),
    ],
)
def test_a_bad_parameter_is_a_400_that_names_it(calm: Reader, path: str, changes: dict[str, Any], named: str) -> None:
    assert calm.refused(path, **{**WINDOW, **changes}).startswith(named)


def test_arrays_are_written_with_brackets_and_repeated(calm: Reader) -> None:
    assert "group_by[]" in calm.refused("cost_report", **WINDOW, group_by="product")
    rows = [
        row for bucket in calm.rows("cost_report", **WINDOW, group_by=["product", "model"]) for row in bucket["results"]
    ]
    assert len({(row["product"], row["model"]) for row in rows}) > len({row["product"] for row in rows}) > 5


def test_a_single_value_given_twice_is_refused(calm: Reader) -> None:
    assert calm.refused("users?date=2026-11-10&date=2026-11-11").startswith("date")


def test_the_window_spans_at_most_31_days(calm: Reader) -> None:
    start = "2026-10-01T00:00:00Z"
    assert calm.get(COST, starting_at=start, ending_at="2026-11-01T00:00:00Z").status_code == 200
    assert calm.refused(COST, starting_at=start, ending_at="2026-11-01T00:00:01Z").startswith("ending_at")


def test_the_window_ends_after_it_starts(calm: Reader) -> None:
    assert calm.refused(COST, starting_at=WINDOW["ending_at"], ending_at=WINDOW["starting_at"]).startswith("ending_at")
    assert calm.refused(COST, starting_at=WINDOW["ending_at"], ending_at=WINDOW["ending_at"]).startswith("ending_at")


@pytest.mark.parametrize("path", [COST, "user_usage_report", "cost_report", "usage_report"])
def test_ending_at_is_required_with_a_bucket_width(calm: Reader, path: str) -> None:
    assert calm.refused(path, starting_at=WINDOW["starting_at"], bucket_width="1d").startswith("ending_at")
    assert calm.get(path, starting_at="2026-11-01T00:00:00Z").status_code == 200


def test_ending_at_is_required_with_a_time_bucket_width(calm: Reader) -> None:
    assert calm.refused("usage", starting_at=WINDOW["starting_at"], time_bucket_width="1d").startswith("ending_at")


def test_starting_at_is_required(calm: Reader) -> None:
    assert calm.refused(COST, ending_at=WINDOW["ending_at"]).startswith("starting_at")


def test_a_start_in_the_future_is_refused_and_an_end_in_the_future_is_not(calm: Reader) -> None:
    assert calm.refused(COST, starting_at="2026-11-20T12:00:01Z", ending_at="2026-11-21T00:00:00Z").startswith(
        "starting_at"
    )
    future = {"starting_at": "2026-11-19T00:00:00Z", "ending_at": "2026-12-01T00:00:00Z", "bucket_width": "1d"}
    buckets = calm.ok("cost_report", **future, limit=31)["data"]
    assert len(buckets) == 12
    assert [bool(bucket["results"]) for bucket in buckets] == [True, True] + [False] * 10


def test_minute_buckets_span_at_most_24_hours(calm: Reader) -> None:
    day: dict[str, Any] = {"starting_at": "2026-11-10T00:00:00Z", "ending_at": "2026-11-11T00:00:00Z"}
    assert calm.get("cost_report", **day, bucket_width="1m").status_code == 200
    longer = {**day, "ending_at": "2026-11-11T00:01:00Z"}
    assert calm.refused("cost_report", **longer, bucket_width="1m").startswith("ending_at")


@pytest.mark.parametrize("path", ["users", "skills", "connectors", "plugins", "artifacts", "apps/chat/projects"])
def test_nothing_before_2026_exists(calm: Reader, path: str) -> None:
    assert "2026-01-01" in calm.refused(path, date="2025-12-31")
    assert calm.get(path, date="2026-01-01").status_code == 200


def test_cost_before_2026_does_not_exist(calm: Reader) -> None:
    window: dict[str, Any] = {"starting_at": "2025-12-31T00:00:00Z", "ending_at": "2026-01-10T00:00:00Z"}
    assert "2026-01-01" in calm.refused(COST, **window)


def test_nothing_is_older_than_365_days() -> None:
    with served(spec(), now=datetime(2027, 3, 1, 12, tzinfo=UTC)) as server:
        reader = Reader(server)
        assert "365" in reader.refused("users", date="2026-02-28")
        assert reader.get("users", date="2026-03-01").status_code == 200
        assert "365" in reader.refused(COST, starting_at="2026-02-28T00:00:00Z", ending_at="2026-03-03T00:00:00Z")


@pytest.mark.parametrize("value", ["2026-1-1", "20261101", "2026-11-31", "yesterday"])
def test_a_date_has_one_form(calm: Reader, value: str) -> None:
    assert calm.refused("users", date=value).startswith("date")


def test_date_and_starting_date_exclude_each_other(calm: Reader) -> None:
    assert calm.refused("users").startswith("date")
    assert calm.refused("users", date="2026-11-10", starting_date="2026-11-01").startswith("date")
    assert calm.refused("users", date="2026-11-10", ending_date="2026-11-11").startswith("ending_date")
    assert calm.refused("summaries", ending_date="2026-11-11").startswith("starting_date")


def test_an_unsupported_filter_is_refused(calm: Reader) -> None:
    assert calm.refused("users", date="2026-11-10", filter=["colour:red"]).startswith("filter[]")
    assert calm.refused("users", date="2026-11-10", group_by=["user_id"]).startswith("group_by[]")


def test_the_newer_pair_needs_its_beta_header(calm: Reader) -> None:
    assert "anthropic-beta" in calm.refused("usage", headers={"anthropic-beta": "other"}, **WINDOW)


def test_a_single_page_has_no_cursor(calm: Reader) -> None:
    assert calm.refused("summaries", starting_date="2026-11-01", page="x").startswith("page")
    assert calm.refused("artifacts", date="2026-11-10", page="x").startswith("page")
