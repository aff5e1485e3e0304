"""The cost and usage reports: fan-out, page sizes, cursors, the cap, filters, order, time buckets."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from onelens_claude.fake_api import DEMO_KEY

from .helpers import FIVE, SEVEN, WINDOW, Reader, results, served, spec, total

ONE_DAY = {"starting_at": "2026-11-10T00:00:00Z", "ending_at": "2026-11-11T00:00:00Z"}
TRUTH_DAY = {"from": "2026-11-10", "to": "2026-11-10"}
DAILY = {**WINDOW, "bucket_width": "1d"}


def keyed(rows: list[dict[str, Any]], by: list[str]) -> dict[tuple[Any, ...], Decimal]:
    """Amounts by key; a key that comes twice fails."""
    assert max(Counter(tuple(row[name] for name in by) for row in rows).values()) == 1
    return {tuple(row[name] for name in by): Decimal(row["amount"]) for row in rows}


def flat_key(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "day": row["starting_at"][:10], "user_id": row["actor"]["user_id"]}


def test_user_cost_rows_equal_the_truth_at_full_grain(calm: Reader) -> None:
    by = ["day", "user_id", *SEVEN]
    rows = [flat_key(row) for row in calm.rows("user_cost_report", **DAILY, group_by=SEVEN, limit=1000)]
    truth = [row for row in calm.truth("costs")["rows"] if row["user_id"]]
    assert keyed(rows, by) == keyed(truth, by)
    lists = {tuple(row[name] for name in by): Decimal(row["list_amount"]) for row in truth}
    assert {tuple(row[name] for name in by): Decimal(row["list_amount"]) for row in rows} == lists


def test_user_usage_rows_equal_the_truth_at_full_grain(calm: Reader) -> None:
    by = ["day", "user_id", *FIVE]
    rows = [flat_key(row) for row in calm.rows("user_usage_report", **DAILY, group_by=FIVE, limit=700)]
    truth = {tuple(row[name] for name in by): row for row in calm.truth("usage")["rows"] if row["user_id"]}
    assert len(rows) == len(truth)
    for row in rows:
        known = truth[tuple(row[name] for name in by)]
        assert row["total_tokens"] == known["total_tokens"]
        assert row["cache_creation"]["ephemeral_5m_input_tokens"] == known["cache_creation_5m_input_tokens"]
        assert row["requests"] == known["requests"]
        parts = [
            row["uncached_input_tokens"],
            row["cache_read_input_tokens"],
            row["output_tokens"],
            *row["cache_creation"].values(),
        ]
        assert sum(parts) == row["total_tokens"]


def test_limit_counts_rows_before_fan_out(calm: Reader) -> None:
    page = calm.ok("user_cost_report", **DAILY, group_by=["product", "cost_type", "token_type"], limit=20)
    groups = {(row["actor"]["user_id"], row["starting_at"], row["product"]) for row in page["data"]}
    assert len(groups) == 20
    assert len(page["data"]) > 20
    plain = calm.ok("user_cost_report", **DAILY, group_by=["product"])
    assert len(plain["data"]) == 20
    assert plain["has_more"] is True


def test_pages_of_any_size_hold_the_same_rows(calm: Reader) -> None:
    sizes = [
        calm.rows("user_cost_report", **DAILY, group_by=["product", "cost_type"], limit=limit) for limit in (37, 1000)
    ]
    assert sizes[0] == sizes[1]


def test_requests_is_null_as_soon_as_cost_type_or_token_type_is_grouped(calm: Reader) -> None:
    for path in ("user_cost_report", "cost_report"):
        for dimension, known in (("cost_type", False), ("token_type", False), ("product", True)):
            data = calm.ok(path, **DAILY, group_by=[dimension])["data"]
            rows = results(data) if path == "cost_report" else data
            assert {row["requests"] is not None for row in rows} == {known}


def test_cost_type_alone_names_components_and_token_type_alone_leaves_the_others_out(calm: Reader) -> None:
    by_type = calm.rows("user_cost_report", **DAILY, group_by=["cost_type"], limit=1000)
    assert {(row["cost_type"], row["token_type"]) for row in by_type} == {
        (kind, None) for kind in ("tokens", "web_search", "code_execution")
    }
    by_token = calm.rows("user_cost_report", **DAILY, group_by=["token_type"], limit=1000)
    assert {row["cost_type"] for row in by_token} == {"tokens"}
    assert len({row["token_type"] for row in by_token}) == 5
    tokens = total([row for row in by_type if row["cost_type"] == "tokens"])
    assert total(by_token) == tokens < total(by_type)


def test_code_execution_has_no_product_model_or_speed(calm: Reader) -> None:
    rows = calm.rows("user_cost_report", **DAILY, group_by=SEVEN, limit=1000)
    spans = [row for row in rows if row["cost_type"] == "code_execution"]
    assert spans
    assert {row[name] for row in spans for name in FIVE} == {None}
    searches = [row for row in rows if row["cost_type"] == "web_search"]
    assert searches
    assert {row["token_type"] for row in searches} == {None}
    truth = [
        row
        for row in calm.truth("costs", by="user_id,cost_type")["rows"]
        if row["user_id"] and row["cost_type"] == "web_search"
    ]
    assert total(searches, "list_amount") == sum(row["quantity"] for row in truth)


def test_ungrouped_dimensions_are_null(calm: Reader) -> None:
    row = calm.ok("user_cost_report", **WINDOW)["data"][0]
    assert [row[name] for name in (*SEVEN, "starting_at", "ending_at")] == [None] * 9
    assert row["currency"] == "USD"


def test_amounts_are_strings_of_up_to_twelve_digits_and_some_use_all(calm: Reader) -> None:
    rows = calm.rows("user_cost_report", **DAILY, group_by=SEVEN, limit=1000)
    digits = {len(row["amount"].partition(".")[2]) for row in rows}
    assert all(isinstance(row["amount"], str) for row in rows)
    assert min(digits) == 6
    assert max(digits) == 12


def test_some_lines_are_fully_discounted(calm: Reader) -> None:
    rows = calm.rows("user_cost_report", **DAILY, group_by=["product"], limit=1000)
    free = [row for row in rows if Decimal(row["amount"]) == 0]
    assert free
    assert all(Decimal(row["list_amount"]) > 0 for row in free)
    assert {row["product"] for row in free} == {"claude_design"}


def test_fast_mode_us_inference_and_long_context_occur(calm: Reader) -> None:
    rows = calm.rows("user_cost_report", **WINDOW, group_by=FIVE, limit=1000)
    for name, values in {
        "speed": {"standard", "fast", None},
        "inference_geo": {"global", "us", None},
        "context_window": {"0-200k", "200k-1M", None},
    }.items():
        assert {row[name] for row in rows} == values
    assert {row["model"] for row in rows if row["speed"] == "fast"} <= {"claude-opus-4-6", "claude-opus-4-7"}
    assert len({row["product"] for row in rows} - {None}) == 7


def test_a_bucket_shows_its_top_hundred_groups_and_no_remainder(calm: Reader) -> None:
    day = next(row for row in calm.truth("days")["rows"] if row["groups"] > 150)
    window = {"starting_at": f"{day['day']}T00:00:00Z", "ending_at": f"{day['day']}T23:59:00Z", "bucket_width": "1d"}
    (bucket,) = calm.ok("cost_report", **window, group_by=SEVEN)["data"]
    truth = calm.truth("costs", by=",".join(SEVEN), **{"from": day["day"], "to": day["day"]})["rows"]
    amounts = sorted((Decimal(row["amount"]) for row in truth), reverse=True)
    assert len(truth) == day["groups"]
    assert [Decimal(row["amount"]) for row in bucket["results"]] == amounts[:100]
    assert total(bucket["results"]) < Decimal(day["amount"])
    (ungrouped,) = calm.ok("cost_report", **window)["data"]
    assert Decimal(ungrouped["results"][0]["amount"]) == Decimal(day["amount"])


def test_usage_buckets_are_capped_by_tokens() -> None:
    with served(spec(wide=True, users=200)) as server:
        reader = Reader(server)
        (bucket,) = reader.ok("usage_report", **ONE_DAY, group_by=["model", "product"])["data"]
        truth = reader.truth("usage", by="model,product", **TRUTH_DAY)["rows"]
        tokens = sorted((row["total_tokens"] for row in truth), reverse=True)
        assert len(truth) > 100
        shown = [
            sum(
                (
                    row["uncached_input_tokens"],
                    row["cache_read_input_tokens"],
                    row["output_tokens"],
                    *row["cache_creation"].values(),
                )
            )
            for row in bucket["results"]
        ]
        assert shown == tokens[:100]
        (models,) = reader.ok("cost_report", **ONE_DAY, group_by=["model"])["data"]
        assert len(models["results"]) == 100


def test_filters_per_product_and_model_put_a_capped_bucket_together(calm: Reader) -> None:
    listed = calm.truth("costs", by="product,model", **TRUTH_DAY)["rows"]
    rows: list[dict[str, Any]] = []
    for pair in listed:
        if pair["product"] in {None, "other", "cc_security_autopatch"}:
            continue
        (bucket,) = calm.ok(
            "cost_report", **ONE_DAY, group_by=SEVEN, products=[pair["product"]], models=[pair["model"]]
        )["data"]
        assert len(bucket["results"]) < 100
        assert total(bucket["results"]) == Decimal(pair["amount"])
        rows += bucket["results"]
    assert len(rows) > 100


@pytest.mark.parametrize(
    ("name", "value", "dimension", "wanted"),
    [
        ("products", ["chat", "claude-tag"], "product", {"chat", "claude-tag"}),
        ("models", ["claude-haiku-4-5"], "model", {"claude-haiku-4-5"}),
        ("speeds", ["fast"], "speed", {"fast"}),
        ("context_windows", ["200k-1M"], "context_window", {"200k-1M"}),
        ("inference_geos", ["not_available"], "inference_geo", {None}),
        ("inference_geos", ["us", "not_available"], "inference_geo", {"us", None}),
    ],
)
@pytest.mark.parametrize("path", ["user_cost_report", "cost_report", "cost"])
def test_a_filter_keeps_exactly_its_rows(
    calm: Reader, path: str, name: str, value: list[str], dimension: str, wanted: set[str | None]
) -> None:
    values = [one.replace("-tag", "_tag") if path == "cost" else one for one in value]
    data = calm.rows(
        path, **WINDOW, **{name: values}, group_by=[dimension], **({} if path == "cost_report" else {"limit": 1000})
    )
    rows = results(data) if path == "cost_report" else data
    if path == "cost":
        rows = [{**row["group"], **row["cost"]} for row in rows]
        rows = [{**row, "product": "claude-tag" if row["product"] == "claude_tag" else row["product"]} for row in rows]
    truth = [row for row in calm.truth("costs", by=f"user_id,{dimension}")["rows"] if row[dimension] in wanted]
    if path == "user_cost_report":
        truth = [row for row in truth if row["user_id"]]
    assert {row[dimension] for row in rows} == wanted
    assert total(rows) == total(truth)


def test_user_ids_filter_every_report(calm: Reader) -> None:
    chosen = [row["user_id"] for row in calm.truth("users")["rows"][:3]]
    truth = [row for row in calm.truth("costs", by="user_id")["rows"] if row["user_id"] in chosen]
    assert total(calm.rows("user_cost_report", **WINDOW, user_ids=chosen)) == total(truth)
    assert total(results(calm.rows("cost_report", **WINDOW, user_ids=chosen))) == total(truth)


def test_rbac_groups_overlap_and_the_unassigned_are_one_null_row(calm: Reader) -> None:
    rows = results(calm.rows("cost_report", **WINDOW, group_by=["rbac_group_id"]))
    whole = Decimal(calm.truth()["amount"])
    assert total(rows) > whole
    assert None in {row["rbac_group_id"] for row in rows}
    group = next(row["rbac_group_id"] for row in rows if row["rbac_group_id"])
    members = total(results(calm.rows("cost_report", **WINDOW, rbac_group_ids=[group])))
    assert members == total([row for row in rows if row["rbac_group_id"] == group]) < whole
    assert "rbac_group_id" in calm.refused("cost_report", **WINDOW, group_by=["rbac_group_id", "claude_tag_user_id"])


def test_cost_no_user_is_behind_is_in_the_buckets_only(calm: Reader) -> None:
    users = calm.rows("user_cost_report", **WINDOW, group_by=["product"], limit=1000)
    products = {row["product"] for row in results(calm.rows("cost_report", **WINDOW, group_by=["product"]))}
    assert {"cc_security_autopatch", "other"} <= products
    assert not {"cc_security_autopatch", "other"} & {row["product"] for row in users}
    unattributed = total(calm.truth("days")["rows"], "unattributed_amount")
    assert total(results(calm.rows("cost_report", **WINDOW))) == total(users) + unattributed
    assert unattributed > 0
    channels = results(
        calm.rows("cost_report", **WINDOW, group_by=["slack_channel_id", "claude_tag_category", "claude_tag_user_id"])
    )
    assert {"monitoring", "engaged"} <= {row["claude_tag_category"] for row in channels}
    assert {row["claude_tag_user_id"] for row in channels if row["claude_tag_category"] == "monitoring"} == {None}


def test_users_are_ranked_by_their_total_in_either_direction(calm: Reader) -> None:
    down = [row["actor"]["user_id"] for row in calm.rows("user_cost_report", **WINDOW)]
    truth = {row["user_id"]: Decimal(row["list_amount"]) for row in calm.truth("costs", by="user_id")["rows"]}
    by_list = [row["actor"]["user_id"] for row in calm.rows("user_cost_report", **WINDOW, order_by="list_amount")]
    assert [truth[one] for one in by_list] == sorted((truth[one] for one in by_list), reverse=True)
    up = [row["actor"]["user_id"] for row in calm.rows("user_cost_report", **WINDOW, order="asc")]
    assert up == down[::-1]
    daily = calm.rows("user_cost_report", **DAILY, limit=1000)
    assert list(dict.fromkeys(row["actor"]["user_id"] for row in daily)) == down


@pytest.mark.parametrize("metric", ["output_tokens", "requests", "total_tokens", "uncached_input_tokens"])
def test_usage_can_be_ranked_by_every_metric(calm: Reader, metric: str) -> None:
    values = [row[metric] for row in calm.rows("user_usage_report", **WINDOW, order_by=metric)]
    assert values == sorted(values, reverse=True)


def test_limit_counts_buckets_with_the_defaults_of_each_width(calm: Reader) -> None:
    day = {"starting_at": "2026-11-10T00:00:00Z", "ending_at": "2026-11-11T00:00:00Z"}
    assert [len(calm.ok("cost_report", **DAILY)["data"]), len(calm.ok("cost_report", **DAILY, limit=31)["data"])] == [
        7,
        20,
    ]
    assert len(calm.ok("cost_report", **WINDOW, bucket_width="1h")["data"]) == 24
    assert len(calm.ok("cost_report", **day, bucket_width="1m")["data"]) == 60
    assert len(calm.rows("cost_report", **day, bucket_width="1m", limit=256)) == 1440


def test_hours_and_minutes_add_up_to_the_day_and_empty_buckets_are_there(calm: Reader) -> None:
    day = Decimal(calm.truth(**TRUTH_DAY)["amount"])
    for width, count in (("1h", 24), ("1m", 1440)):
        buckets = calm.rows("cost_report", **ONE_DAY, bucket_width=width, limit=24 if width == "1h" else 256)
        assert len(buckets) == count
        assert total(results(buckets)) == day
        assert [] in [bucket["results"] for bucket in buckets]
        assert all(bucket["ending_at"] > bucket["starting_at"] for bucket in buckets)


def test_days_without_data_are_empty_buckets(calm: Reader) -> None:
    window = {"starting_at": "2026-09-28T00:00:00Z", "ending_at": "2026-10-03T00:00:00Z", "bucket_width": "1d"}
    assert [len(bucket["results"]) for bucket in calm.rows("cost_report", **window)] == [0, 0, 0, 1, 1]
    assert {row["starting_at"][:10] for row in calm.rows("user_cost_report", **window, limit=1000)} == {
        "2026-10-01",
        "2026-10-02",
    }


def test_a_cursor_is_bound_to_its_query(calm: Reader, fresh: Reader) -> None:
    cursor = calm.ok("user_cost_report", **DAILY, limit=20)["next_page"]
    changes: list[dict[str, Any]] = [
        {"limit": 21},
        {"order": "asc"},
        {"group_by": ["product"]},
        {"ending_at": "2026-11-08T00:00:00Z"},
        {"products": ["chat"]},
    ]
    for change in changes:
        assert calm.refused("user_cost_report", **{**DAILY, "limit": 20, **change}, page=cursor).startswith("page")
    assert calm.refused("user_usage_report", **DAILY, limit=20, page=cursor).startswith("page")
    broken = cursor[:-2] + ("AA" if not cursor.endswith("AA") else "BB")
    assert calm.refused("user_cost_report", **DAILY, limit=20, page=broken).startswith("page")
    assert calm.get("user_cost_report", **DAILY, limit=20, page=cursor).status_code == 200
    assert DEMO_KEY not in cursor


def test_a_cursor_of_another_organization_is_refused() -> None:
    with served(spec(), spec(api_key="other", seed=2, name="Globex")) as server:
        cursor = Reader(server).ok("user_cost_report", **DAILY)["next_page"]
        assert Reader(server, "other").refused("user_cost_report", **DAILY, page=cursor).startswith("page")


def test_pages_of_one_walk_fit_together_while_the_clock_and_the_data_move(fresh: Reader) -> None:
    running = {
        "starting_at": "2026-11-19T00:00:00Z",
        "ending_at": "2026-11-21T00:00:00Z",
        "bucket_width": "1d",
        "limit": 10,
    }
    before = fresh.rows("user_cost_report", **running)
    first = fresh.ok("user_cost_report", **running)
    fresh.control("now", now="2026-11-20T23:00:00Z")
    fresh.control("revisions", day="2026-11-19", kind="up")
    rows, page = first["data"], first
    while page["has_more"]:
        page = fresh.ok("user_cost_report", **running, page=page["next_page"])
        rows += page["data"]
    assert rows == before
    assert page["data_refreshed_at"] == first["data_refreshed_at"]
    assert fresh.rows("user_cost_report", **running) != before


def test_the_running_day_grows_up_to_the_freshness_stamp(fresh: Reader) -> None:
    today = {"starting_at": "2026-11-20T00:00:00Z", "ending_at": "2026-11-21T00:00:00Z", "bucket_width": "1d"}
    truth = {"from": "2026-11-20", "to": "2026-11-20"}
    amounts = []
    for hour in (8, 16, 23):
        fresh.control("now", now=f"2026-11-20T{hour:02d}:00:00Z")
        page = fresh.ok("cost_report", **today)
        assert page["data_refreshed_at"] == f"2026-11-20T{hour - 4:02d}:00:00Z"
        amounts.append(total(results(page["data"])))
        assert amounts[-1] == Decimal(fresh.truth(**truth)["amount"])
    fresh.control("now", now="2026-11-21T04:00:00Z")
    amounts.append(total(results(fresh.ok("cost_report", **today)["data"])))
    fresh.control("now", now="2026-11-25T04:00:00Z")
    assert total(results(fresh.ok("cost_report", **today)["data"])) == amounts[-1]
    assert amounts == sorted(set(amounts))


def test_the_cost_lag_is_a_setting(fresh: Reader) -> None:
    fresh.control("freshness", cost_lag_hours=30)
    page = fresh.ok("cost_report", **WINDOW)
    assert page["data_refreshed_at"] == "2026-11-19T06:00:00Z"


def test_seat_plans_show_usage_credits_only_but_all_usage() -> None:
    with served(spec(), spec(plan="seat", api_key="seat", name="Seats")) as server:
        usage, seat = Reader(server), Reader(server, "seat")
        assert usage.truth()["total_tokens"] == pytest.approx(seat.truth()["total_tokens"], rel=0.5)
        cost_users = {row["actor"]["user_id"] for row in seat.rows("user_cost_report", **WINDOW, limit=1000)}
        usage_users = {row["actor"]["user_id"] for row in seat.rows("user_usage_report", **WINDOW, limit=1000)}
        assert cost_users < usage_users
        assert total(results(seat.rows("cost_report", **WINDOW))) == Decimal(seat.truth()["amount"])
        assert Decimal(seat.truth()["amount"]) < Decimal(usage.truth()["amount"])


def test_unset_now_follows_the_system_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    from onelens_claude.fake_api import create_app

    monkeypatch.setenv("ONELENS_NOW", "2026-05-01T00:00:00Z")
    api = create_app([spec()]).state.api
    assert api.now() == datetime(2026, 5, 1, tzinfo=UTC)
    monkeypatch.delenv("ONELENS_NOW")
    assert abs((api.now() - datetime.now(UTC)).total_seconds()) < 60
