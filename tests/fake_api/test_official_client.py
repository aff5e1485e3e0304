"""The official `anthropic` client reads every resource over HTTP and adds up to the truth."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import anthropic
import pytest
from pydantic import BaseModel

from onelens_claude.fake_api import DEMO_KEY

from .helpers import DAYS, FIVE, SEVEN, WINDOW, Reader, served, spec

if TYPE_CHECKING:
    from collections.abc import Iterator

ONE_DAY: dict[str, Any] = {"date": "2026-11-10"}


@pytest.fixture(scope="module")
def client(calm: Reader) -> Iterator[Any]:
    with anthropic.Anthropic(api_key=DEMO_KEY, base_url=calm.server.base_url, max_retries=0) as official:
        yield official.beta.organization.analytics


def assert_complete(model: Any) -> None:
    """Every required field is there and of its type: the client itself does not check."""
    if isinstance(model, BaseModel):
        type(model).model_validate(model.model_dump(mode="python", warnings=False))
        for name, info in type(model).model_fields.items():
            assert not info.is_required() or name in model.model_fields_set, f"{type(model).__name__}.{name} is missing"
            assert_complete(getattr(model, name))
        assert not model.model_extra, f"{type(model).__name__} does not know {model.model_extra}"
    elif isinstance(model, list):
        for item in model:
            assert_complete(item)


@pytest.mark.parametrize("features", ["all", "none"])
@pytest.mark.parametrize("resource", ["users", "skills", "connectors", "plugins", "artifacts", "projects"])
def test_every_engagement_row_carries_what_the_types_require(resource: str, features: str, calm: Reader) -> None:
    from onelens_claude.fake_api import FEATURES

    chosen = FEATURES if features == "all" else frozenset()
    with (
        served(spec(features=chosen)) as server,
        anthropic.Anthropic(api_key=DEMO_KEY, base_url=server.base_url) as official,
    ):
        analytics = official.beta.organization.analytics
        owner = analytics.apps.chat.projects if resource == "projects" else getattr(analytics, resource)
        rows = list(owner.list(**ONE_DAY))
        assert rows
        for row in rows:
            assert_complete(row)


def test_summaries_cover_each_day_once(client: Any) -> None:
    rows = list(client.summaries.list(starting_date="2026-10-20", ending_date="2026-11-10"))
    assert [row.starting_at.date().isoformat() for row in rows][0::20] == ["2026-10-20", "2026-11-09"]
    for row in rows:
        assert_complete(row)


def test_user_cost_report_adds_up_to_the_truth(client: Any, calm: Reader) -> None:
    rows = list(client.user_cost_report.list(**WINDOW, bucket_width="1d", group_by=SEVEN, limit=1000))
    assert_complete(rows)
    days = calm.truth("days")["rows"]
    assert sum(Decimal(row.amount) for row in rows) == sum(Decimal(day["user_amount"]) for day in days)
    assert sum(Decimal(row.list_amount) for row in rows) == sum(Decimal(day["user_list_amount"]) for day in days)


def test_user_usage_report_adds_up_to_the_truth(client: Any, calm: Reader) -> None:
    rows = list(client.user_usage_report.list(**WINDOW, bucket_width="1d", group_by=FIVE, limit=500))
    assert_complete(rows)
    truth = [row for row in calm.truth("usage", by="user_id")["rows"] if row["user_id"]]
    assert sum(row.total_tokens for row in rows) == sum(row["total_tokens"] for row in truth)
    assert sum(row.requests for row in rows) == sum(row["requests"] for row in truth)
    assert sum(row.cache_creation.ephemeral_1h_input_tokens for row in rows) == sum(
        row["cache_creation_1h_input_tokens"] for row in truth
    )
    assert sum(row.server_tool_use.web_search_requests for row in rows) == sum(
        row["web_search_requests"] for row in truth
    )


def test_cost_report_adds_up_to_the_truth(client: Any, calm: Reader) -> None:
    buckets = list(client.cost_report.list(**WINDOW, bucket_width="1d", limit=7))
    assert len(buckets) == 20
    assert_complete(buckets)
    truth = calm.truth()
    rows = [row for bucket in buckets for row in bucket.results]
    assert sum(Decimal(row.amount) for row in rows) == Decimal(truth["amount"])
    assert sum(Decimal(row.list_amount) for row in rows) == Decimal(truth["list_amount"])
    assert sum(row.requests for row in rows) == truth["requests"]


def test_usage_report_adds_up_to_the_truth(client: Any, calm: Reader) -> None:
    buckets = list(client.usage_report.list(**WINDOW, bucket_width="1d", limit=31, group_by=["product"]))
    assert_complete(buckets)
    outputs: dict[str | None, int] = {}
    for bucket in buckets:
        for row in bucket.results:
            outputs[row.product] = outputs.get(row.product, 0) + row.output_tokens
    truth = calm.truth("usage", by="product")["rows"]
    assert outputs == {row["product"]: row["output_tokens"] for row in truth}


def test_cost_and_usage_of_the_newer_pair_add_up_to_the_truth(client: Any, calm: Reader) -> None:
    group = ["actor", "product", "model"]
    costs = list(
        client.cost.list(**WINDOW, time_bucket_width="1d", group_by=[*group, "cost_type", "token_type"], limit=1000)
    )
    usage = list(client.usage.list(**WINDOW, time_bucket_width="1d", group_by=group, limit=1000))
    assert_complete(costs)
    assert_complete(usage)
    truth = calm.truth()
    assert sum(Decimal(row.cost.amount) for row in costs) == Decimal(truth["amount"])
    assert sum(row.usage.total_tokens for row in usage) == truth["total_tokens"]
    assert {row.group.product for row in usage} >= {"claude_tag", "claude_code", "chat"}


@pytest.mark.parametrize(
    ("key", "day", "error"),
    [
        ("wrong", "2026-11-10", anthropic.AuthenticationError),
        (DEMO_KEY, "2025-12-31", anthropic.BadRequestError),
    ],
)
def test_the_client_sees_errors_as_its_own_exceptions(calm: Reader, key: str, day: str, error: type[Exception]) -> None:
    with (
        anthropic.Anthropic(api_key=key, base_url=calm.server.base_url, max_retries=0) as official,
        pytest.raises(error, match=r"invalid x-api-key|2026-01-01"),
    ):
        official.beta.organization.analytics.users.list(date=day)


def test_dates_of_the_test_window_agree() -> None:
    assert WINDOW["starting_at"].startswith(DAYS["from"])


@pytest.mark.parametrize(("width", "hours", "most"), [("1h", 24, 168), ("1m", 1, 256)])
def test_hours_and_minutes_of_the_running_day_add_up_to_the_truth(
    width: str, hours: int, most: int, client: Any, calm: Reader
) -> None:
    start = "2026-11-20T00:00:00Z" if hours > 1 else "2026-11-20T07:00:00Z"
    end = "2026-11-21T00:00:00Z" if hours > 1 else "2026-11-20T08:00:00Z"
    page = client.cost_report.list(starting_at=start, ending_at=end, bucket_width=width, limit=most)
    assert_complete(page.data)
    assert page.data_refreshed_at.isoformat() == "2026-11-20T08:00:00+00:00"
    assert len(page.data) == (24 if hours > 1 else 60)
    amount = sum(Decimal(row.amount) for bucket in page.data for row in bucket.results)
    assert amount > 0
    if hours > 1:
        assert amount == Decimal(calm.truth(**{"from": "2026-11-20", "to": "2026-11-20"})["amount"])
