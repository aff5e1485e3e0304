"""Faults: each one as a client meets it, with its matchers and its count."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
import requests

from onelens_claude.fake_api import DEMO_KEY, FAULT_KINDS, Fault, parse_fault
from onelens_claude.fake_api.faults import ANSWER_FAULTS, PAYLOAD_FAULTS, TRANSPORT_FAULTS

from .helpers import FIVE, SEVEN, WINDOW, Reader, results, served, spec

DAILY: dict[str, Any] = {**WINDOW, "bucket_width": "1d"}
DAY: dict[str, Any] = {"date": "2026-11-10"}


def inject(reader: Reader, kind: str, **given: Any) -> None:
    reader.control("faults", kind=kind, **given)


@pytest.mark.parametrize(
    ("kind", "status", "error"),
    [
        ("error_500", 500, "api_error"),
        ("error_503", 503, "overloaded_error"),
        ("error_529", 529, "overloaded_error"),
        ("rate_limited", 429, "rate_limit_error"),
        ("unauthorized", 401, "authentication_error"),
        ("forbidden", 403, "permission_error"),
    ],
)
def test_an_answer_fault_answers_with_its_error_and_then_is_over(
    fresh: Reader, kind: str, status: int, error: str
) -> None:
    inject(fresh, kind, times=2)
    for _ in range(2):
        response = fresh.get("users", **DAY)
        assert response.status_code == status
        assert response.json()["error"]["type"] == error
        assert response.json()["request_id"] == response.headers["request-id"]
        assert (response.headers.get("retry-after") == "1") is (status == 429)
    assert fresh.get("users", **DAY).status_code == 200


def test_days_before_a_date_can_be_refused(fresh: Reader) -> None:
    inject(fresh, "too_early", value="2026-11-01", times=None)
    assert fresh.refused("users", date="2026-10-31") == (
        "The requested date is before the earliest available date 2026-11-01 of this organization."
    )
    assert fresh.get("users", date="2026-11-01").status_code == 200


def test_a_fault_can_wait_for_a_page_in_the_middle(fresh: Reader) -> None:
    inject(fresh, "error_500", endpoint="user_cost_report", page=3)
    seen: list[requests.Response] = []
    page = fresh.get("user_cost_report", **DAILY)
    while page.status_code == 200 and len(seen) < 10:
        seen.append(page)
        page = fresh.get("user_cost_report", **DAILY, page=page.json()["next_page"])
    assert (len(seen), page.status_code) == (2, 500)
    assert fresh.get("user_cost_report", **DAILY, page=seen[-1].json()["next_page"]).status_code == 200


@pytest.mark.parametrize("kind", ["cursor_refused", "cursor_expired"])
def test_a_cursor_can_be_refused(fresh: Reader, kind: str) -> None:
    inject(fresh, kind)
    cursor = fresh.ok("user_cost_report", **DAILY)["next_page"]
    assert fresh.refused("user_cost_report", **DAILY, page=cursor).startswith("page")
    assert fresh.get("user_cost_report", **DAILY, page=cursor).status_code == 200


def test_a_truncated_body_is_shorter_than_it_says(fresh: Reader) -> None:
    inject(fresh, "truncated_body")
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError)):
        fresh.get("users", **DAY)
    assert fresh.get("users", **DAY).status_code == 200


def test_a_connection_can_be_reset(fresh: Reader) -> None:
    inject(fresh, "connection_reset")
    with pytest.raises(requests.exceptions.ConnectionError):
        fresh.get("users", **DAY)
    assert fresh.get("users", **DAY).status_code == 200


@pytest.mark.parametrize("kind", ["truncated_json", "html_200", "empty_body"])
def test_a_body_can_be_no_json_with_status_200(fresh: Reader, kind: str) -> None:
    inject(fresh, kind)
    response = fresh.get("users", **DAY)
    assert response.status_code == 200
    with pytest.raises(requests.exceptions.JSONDecodeError):
        response.json()
    assert response.headers["content-type"].startswith("text/html") is (kind == "html_200")


def test_an_answer_can_be_slow(fresh: Reader) -> None:
    inject(fresh, "slow", seconds=0.4)
    started = perf_counter()
    assert fresh.get("users", **DAY).status_code == 200
    assert perf_counter() - started >= 0.4


@pytest.mark.parametrize("value", ["12,5", "NaN", "1e999", "0.1234567890123", "number"])
@pytest.mark.parametrize("path", ["user_cost_report", "cost_report", "cost"])
def test_one_amount_can_be_bad(fresh: Reader, path: str, value: str) -> None:
    inject(fresh, "bad_amount", endpoint=path, value=value)
    data = fresh.ok(path, **WINDOW)["data"]
    rows = results(data) if path == "cost_report" else [row.get("cost", row) for row in data]
    good = fresh.ok(path, **WINDOW)["data"]
    expected = results(good) if path == "cost_report" else [row.get("cost", row) for row in good]
    changed = [row["amount"] for row, other in zip(rows, expected, strict=True) if row["amount"] != other["amount"]]
    assert changed == [12.5 if value == "number" else value]
    if value == "12,5":
        with pytest.raises(InvalidOperation):
            Decimal(changed[0])


def test_a_bad_amount_can_be_on_a_chosen_day(fresh: Reader) -> None:
    inject(fresh, "bad_amount", day="2026-10-28", times=None)
    buckets = fresh.rows("cost_report", **DAILY)
    assert [bucket["starting_at"][:10] for bucket in buckets if bucket["results"][0]["amount"] == "12,5"] == [
        "2026-10-28"
    ]
    outside: dict[str, Any] = {
        "starting_at": "2026-11-01T00:00:00Z",
        "ending_at": "2026-11-03T00:00:00Z",
        "bucket_width": "1d",
    }
    assert "12,5" not in fresh.get("cost_report", **outside).text


def test_a_row_can_lie_outside_its_window(fresh: Reader) -> None:
    inject(fresh, "day_outside_window", endpoint="user_cost_report")
    inject(fresh, "day_outside_window", endpoint="summaries")
    rows = fresh.ok("user_cost_report", **DAILY)["data"]
    assert [row["starting_at"] < WINDOW["starting_at"] for row in rows].count(True) == 1
    summaries = fresh.ok("summaries", starting_date="2026-11-01", ending_date="2026-11-05")["data"]
    assert summaries[0]["starting_at"] < "2026-11-01"


def test_unknown_products_models_and_fields_flow_in(fresh: Reader) -> None:
    for kind in ("unknown_product", "unknown_model", "extra_field"):
        inject(fresh, kind, endpoint="user_cost_report", value="a_new_name" if kind == "extra_field" else None)
    body = fresh.ok("user_cost_report", **DAILY, group_by=["product", "model"])
    assert [row["product"] for row in body["data"]].count("claude_of_tomorrow") == 1
    assert [row["model"] for row in body["data"]].count("claude-tomorrow-9") == 1
    assert all(row["a_new_name"] == "surprise" for row in body["data"])
    assert "a_field_of_tomorrow" in body


def test_a_cursor_can_lead_in_a_circle(fresh: Reader) -> None:
    inject(fresh, "cursor_loop", page=2, times=None)
    cursor = fresh.ok("user_cost_report", **DAILY)["next_page"]
    assert fresh.ok("user_cost_report", **DAILY, page=cursor)["next_page"] == cursor


def test_summaries_in_their_old_wrapper(fresh: Reader) -> None:
    inject(fresh, "old_summaries", endpoint="summaries")
    body = fresh.ok("summaries", starting_date="2026-11-01", ending_date="2026-11-05")
    assert len(body["summaries"]) == 4
    assert "data" not in body


def test_a_client_that_reads_only_summaries_gets_its_rows(fresh: Reader) -> None:
    window = {"starting_date": "2026-11-01", "ending_date": "2026-11-05"}
    rows = fresh.ok("summaries", **window)["data"]
    inject(fresh, "old_summaries", endpoint="summaries", times=None)
    for _ in range(2):
        assert fresh.ok("summaries", **window)["summaries"] == rows


@pytest.mark.parametrize("value", [None, "both"])
def test_actors_with_the_old_address_field(fresh: Reader, value: str | None) -> None:
    inject(fresh, "old_email", value=value)
    actor = fresh.ok("user_cost_report", **DAILY)["data"][0]["actor"]
    assert "@" in actor["email"]
    assert ("email_address" in actor) is (value == "both")


def test_old_spellings_of_claude_tag_and_models(fresh: Reader) -> None:
    inject(fresh, "old_claude_tag", times=None)
    inject(fresh, "old_model_names", times=None)
    rows = fresh.rows("user_cost_report", **DAILY, group_by=FIVE, limit=1000)
    products, models = {row["product"] for row in rows}, {row["model"] for row in rows}
    assert "claude_tag" in products
    assert "claude-tag" not in products
    assert "claude_opus_4_6" in models


def test_optional_fields_can_be_missing(fresh: Reader) -> None:
    inject(fresh, "missing_fields", endpoint="user_cost_report")
    body = fresh.ok("user_cost_report", **DAILY)
    assert not {"has_more", "data_refreshed_at"} & set(body)
    assert not {"list_amount"} & set(body["data"][0])
    assert "deleted" not in body["data"][0]["actor"]
    inject(fresh, "missing_fields", endpoint="users", value="science_metrics+claude_tag_metrics")
    assert not {"science_metrics", "claude_tag_metrics"} & set(fresh.ok("users", **DAY)["data"][0])
    inject(fresh, "null_block", endpoint="users", value="office_metrics")
    assert {row["office_metrics"] for row in fresh.ok("users", **DAY)["data"]} == {None}


def test_a_row_may_come_twice_and_a_stamp_may_move(fresh: Reader) -> None:
    rows = fresh.rows("users", **DAY, limit=1000)
    inject(fresh, "repeated_row", endpoint="users")
    assert fresh.ok("users", **DAY, limit=1000)["data"] == [*rows, rows[0]]
    span = {"starting_at": f"{DAY['date']}T00:00:00Z", "limit": 1000}
    body = fresh.ok("user_cost_report", **span)
    inject(fresh, "older_stamp", endpoint="user_cost_report")
    older = fresh.ok("user_cost_report", **span)
    assert older["data_refreshed_at"] < body["data_refreshed_at"]
    assert older["data"] == body["data"]


def test_a_fault_leaves_later_answers_untouched(fresh: Reader) -> None:
    before = {path: fresh.rows(path, **DAY, limit=1000) for path in ("users", "skills")}
    for kind in PAYLOAD_FAULTS:
        inject(fresh, kind)
        inject(fresh, kind, endpoint="skills")
    for _ in range(3 * len(PAYLOAD_FAULTS)):
        fresh.get("users", **DAY)
        fresh.get("skills", **DAY)
    assert {path: fresh.rows(path, **DAY, limit=1000) for path in ("users", "skills")} == before


def test_a_fault_can_be_for_one_endpoint_and_one_organization_only() -> None:
    faults = (Fault("forbidden", endpoint="skills", organization="Globex", times=None),)
    with served(spec(), spec(api_key="other", seed=2, name="Globex"), faults=faults) as server:
        assert Reader(server).get("skills", **DAY).status_code == 200
        assert Reader(server, "other").get("skills", **DAY).status_code == 403
        assert Reader(server, "other").get("users", **DAY).status_code == 200


def test_a_fault_can_let_some_requests_pass_and_can_be_cleared(fresh: Reader) -> None:
    inject(fresh, "error_500", after=2, times=None)
    assert [fresh.get("users", **DAY).status_code for _ in range(4)] == [200, 200, 500, 500]
    url = f"{fresh.server.base_url}/control/faults"
    assert requests.get(url, headers={"x-api-key": DEMO_KEY}, timeout=10).json()["faults"][0]["fired"] == 2
    fresh.control("faults/clear")
    assert fresh.get("users", **DAY).status_code == 200


def test_faults_can_be_written_as_text() -> None:
    assert parse_fault("html_200") == Fault("html_200")
    written = parse_fault("bad_amount:endpoint=cost_report,value=12,5,day=2026-10-28,times=always,page=2,after=1")
    assert (written.value, written.times, written.page, written.after, str(written.day)) == (
        "12,5",
        None,
        2,
        1,
        "2026-10-28",
    )
    for text in ("nope", "slow:seconds", "slow:colour=red", "slow:seconds=long", "error_500:day=soon"):
        with pytest.raises(ValueError, match=r"fault|invalid|Invalid|convert"):
            parse_fault(text)


def test_every_fault_is_tested_here() -> None:
    assert frozenset(ANSWER_FAULTS) | TRANSPORT_FAULTS | frozenset(PAYLOAD_FAULTS) == FAULT_KINDS
    text = Path(__file__).read_text(encoding="utf-8")
    assert [kind for kind in FAULT_KINDS if f'"{kind}"' not in text] == []
    assert len(SEVEN) == 7
