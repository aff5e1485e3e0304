"""What goes wrong at the API costs its own pull, day or organisation, is recorded, and the earlier truth stands."""

from __future__ import annotations

import datetime as dt
import json
import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from onelens_claude.api.endpoints import ENDPOINTS
from onelens_claude.fake_api import Fault, Revision
from onelens_claude.landing import asking, fetching, work
from onelens_claude.landing.work import DayStatus
from onelens_claude.ledger.due import days_to_pull
from tests.landing.landed import (
    COSTS_BY_DAY,
    FIRST,
    LAST,
    assert_holds_the_truth,
    assert_nothing_half_or_twice,
    ledger,
    statuses,
)
from tests.organizations import organization
from tests.worlds import days, small_pages

if TYPE_CHECKING:
    from tests.worlds import World

# faults: one organisation's, recorded, and the earlier truth stands


@pytest.mark.parametrize(
    ("fault", "error_type", "words"),
    [
        (Fault("unauthorized", times=None), "authentication_error", "401 authentication_error: invalid x-api-key"),
        (Fault("error_500", page=2, times=None), "api_error", "500 api_error: Internal server error"),
        (Fault("truncated_body", page=2, times=None), "transport_error", "no complete answer from"),
        (Fault("connection_reset", page=2, times=None), "transport_error", "no complete answer from"),
        (Fault("html_200", page=2, times=None), "malformed_response", "is HTML, not JSON"),
        (Fault("cursor_refused", page=2, times=None), "invalid_request_error", "page: Invalid cursor"),
        (
            Fault("bad_amount", value="12,5", times=None),
            "invalid_data",
            'page 1: amount "12,5" is not a decimal string',
        ),
        (
            Fault("bad_amount", value="number", times=None),
            "invalid_data",
            "page 1: amount 12.5 is not a decimal string",
        ),
        (Fault("day_outside_window", times=None), "invalid_data", "page 1: a row from 2026-09-"),
    ],
    ids=lambda value: f"{value.kind}-{value.value or ''}" if isinstance(value, Fault) else "",
)
def test_a_fault_fails_its_own_pull_only(make_world, caplog, fault, error_type, words):
    caplog.set_level(logging.DEBUG)
    here = make_world(
        {"acme": organization(), "globex": organization("sk-ant-api01-globex", seed=2, name="Globex")},
        polling={"attempts": 1},
    )
    endpoint = small_pages("user_cost_report", 30)
    here.land(endpoint, "2026-11-01", "2026-11-06", ("acme", "globex"))
    here.server.api.faults.add(replace(fault, organization="Acme Corp"))
    here.server.api.tenants[1].organization.add_revision(Revision(dt.date(2026, 11, 6), "down", percent=50))
    outcomes = here.land(endpoint, "2026-11-01", "2026-11-06", ("acme", "globex"))

    assert {(one.organization_id, one.status) for one in outcomes} == {
        ("acme", DayStatus.FAILED),
        ("globex", DayStatus.LOADED),
    }
    reasons = {one.reason for one in outcomes if one.organization_id == "acme"}
    failures = here.query(
        "select error_type, error_message, page_count, request_id from claude_raw.pulls where status = 'failed'"
    )
    assert {message for _, message, _, _ in failures} == reasons
    # a bad row is refused with its day alone; any other fault is of the whole request
    assert len(failures) == (6 if error_type == "invalid_data" else 1)
    for found_type, message, pages, request_id in failures:
        span = "2026-11-0" if error_type == "invalid_data" else "2026-11-01..2026-11-06: "
        assert message.startswith(f"acme: user_cost_report {span}")
        assert words in message
        assert (found_type, pages) == (error_type, 0)
        if "no complete answer" not in words:
            assert f"(request {request_id})" in message
        assert message in caplog.text
    # the truth of before stands, the other organisation's is the new one
    assert_holds_the_truth(here, "2026-11-01", "2026-11-06", "acme")
    assert_holds_the_truth(here, "2026-11-01", "2026-11-06", "globex")
    # and the next landing mends it
    here.server.api.faults.clear()
    assert set(statuses(here.land(endpoint, "2026-11-01", "2026-11-06"))) == {"loaded"}
    assert_no_key_anywhere(here, caplog.text)


def assert_no_key_anywhere(here: World, log: str) -> None:
    folder = here.settings.warehouse_path.parent
    for one in here.settings.organizations:
        key = one.api_key()
        assert key not in log
        for path in folder.rglob("*"):
            assert path.is_dir() or key.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("kind", ["bad_amount", "html_200", "truncated_json"])
def test_refused_bytes_are_kept_aside_with_the_reason(make_world, kind):
    here = make_world(faults=[Fault(kind, page=2, times=None)])
    here.land(small_pages("user_cost_report", 5), "2026-11-02")
    (pull_id,) = here.query("select pull_id from claude_raw.pulls where status = 'failed'")[0]
    (folder,) = (here.settings.warehouse_path.parent / "quarantine").iterdir()
    assert folder.name == pull_id
    note = json.loads((folder / "error.json").read_text())
    assert note["error"] == here.query("select error_message from claude_raw.pulls")[0][0]
    kept = {page["file"]: (folder / page["file"]).read_bytes() for page in note["pages"]}
    if kind == "bad_amount":
        assert b'"amount":"12,5"' in kept["000002.json"]
        assert note["pages"][1]["request_path"].startswith("/v1/organizations/analytics/user_cost_report?")
    else:
        assert kept["answer"].startswith(b"<!doctype html>" if kind == "html_200" else b'{"data":[')
    assert list((here.settings.warehouse_path.parent / "spool").iterdir()) == []


def test_one_refused_pull_does_not_keep_back_the_others_of_its_batch(make_world):
    here = make_world(faults=[Fault("bad_amount", day=dt.date(2026, 11, 6))])
    outcomes = here.land(COSTS_BY_DAY, FIRST, LAST)
    assert [one.day for one in outcomes if one.status is DayStatus.FAILED] == [dt.date(2026, 11, 6)]
    assert statuses(outcomes).count("loaded") == 18
    assert here.amount() == here.true_amount(FIRST, "2026-11-05") + here.true_amount("2026-11-07", LAST)
    assert_nothing_half_or_twice(here)


def test_a_key_that_was_switched_off_half_way_is_not_asked_again_for_every_window(make_world):
    here = make_world(faults=[Fault("forbidden", after=5, times=None)])
    outcomes = here.land("users", FIRST, LAST)
    assert statuses(outcomes).count("loaded") == 5
    assert {one.status for one in outcomes} == {DayStatus.LOADED, DayStatus.FAILED}
    assert all("403 permission_error" in one.reason for one in outcomes if one.status is DayStatus.FAILED)
    assert len(here.requests("/users")) <= 5 + work.FETCH_THREADS
    here.server.api.faults.clear()
    here.land("users", FIRST, LAST)
    with here.onelens.warehouse().writer() as connection:
        assert days_to_pull(connection, "acme", ENDPOINTS["users"], revision_days=30) == []


def test_access_switched_off_for_real_half_way_is_the_same(make_world, monkeypatch):
    here = make_world()
    asked = threading.Semaphore(6)
    real = fetching.fetch

    def fetch(*arguments: Any) -> Any:
        if not asked.acquire(blocking=False):
            here.server.api.tenants[0].access_enabled = False
        return real(*arguments)

    monkeypatch.setattr(asking, "fetch", fetch)
    outcomes = here.land("users", FIRST, LAST)
    assert 0 < statuses(outcomes).count("loaded") <= 6
    assert all("Public API access is not enabled" in one.reason for one in outcomes if one.status is DayStatus.FAILED)


def test_an_unreachable_host_fails_each_day_and_is_asked_little(make_world, write_settings):
    here = make_world()
    here.settings = write_settings(
        {"acme": ("key", "http://127.0.0.1:1"), "globex": ("sk-ant-api01-acme", here.server.base_url)}
    )
    outcomes = here.land("users", FIRST, LAST, ("acme", "globex"))
    assert {one.status for one in outcomes if one.organization_id == "globex"} == {DayStatus.LOADED}
    failed = [one for one in outcomes if one.organization_id == "acme"]
    assert {one.status for one in failed} == {DayStatus.FAILED}
    assert all("no complete answer from http://127.0.0.1:1: " in one.reason for one in failed)
    assert len([row for row in ledger(here) if row[0] == "failed"]) <= work.FETCH_THREADS


def test_several_failures_in_a_row_end_the_asking_and_single_ones_do_not(make_world):
    here = make_world(faults=[Fault("html_200", times=None, after=3)])
    here.land("users", FIRST, LAST)
    assert len(here.requests("/users")) <= 3 + asking._FAILURES_IN_A_ROW + work.FETCH_THREADS
    here.server.api.faults.clear()
    for day in days(FIRST, LAST)[::4]:
        here.server.api.faults.add(Fault("html_200", day=day))
    assert statuses(here.land("users", FIRST, LAST)).count("failed") == 5


def test_a_key_file_that_vanishes_is_the_days_failure(make_world):
    here = make_world()
    key_file = here.settings.source.parent / "acme.key"
    key_file.unlink()
    outcomes = here.land("users", FIRST, LAST)
    assert {one.status for one in outcomes} == {DayStatus.FAILED}
    assert "organizations.acme.api_key_file" in outcomes[0].reason
    assert len(here.requests()) == 0


def test_a_rate_limited_landing_loses_nothing(make_world):
    here = make_world(faults=[Fault("rate_limited", times=3, value="0.2")], polling={"attempts": 6})
    assert set(statuses(here.land("users", FIRST, LAST))) == {"loaded"}
    assert_nothing_half_or_twice(here, "users")


# what is wrong with one day or one reading stays with it


@pytest.mark.parametrize("day", ["2026-11-01", "2026-11-10", "2026-11-19"], ids=["first", "middle", "last"])
def test_a_bad_row_costs_its_own_day_alone(make_world, day):
    here = make_world(
        faults=[Fault("bad_amount", endpoint="user_cost_report", day=dt.date.fromisoformat(day), times=None)]
    )
    outcomes = here.land("user_cost_report", FIRST, LAST)
    assert [str(one.day) for one in outcomes if one.status is DayStatus.FAILED] == [day]
    assert statuses(outcomes).count("loaded") == 18
    ((error_type, first, end),) = here.query(
        "select error_type, window_start, window_end from claude_raw.pulls where status = 'failed'"
    )
    assert (error_type, str(first), end - first) == ("invalid_data", day, dt.timedelta(days=1))
    assert here.amount() == here.true_amount(FIRST, LAST) - here.true_amount(day, day)
    assert len(here.requests("user_cost_report")) <= 11  # the window, then two per halving
    assert_nothing_half_or_twice(here)


@pytest.mark.parametrize("endpoint", ["user_cost_report", "user_usage_report", "cost_report", "usage_report", "users"])
def test_pages_that_overlapped_once_are_read_once_more_and_are_right(make_world, endpoint):
    here = make_world(faults=[Fault("repeated_row", endpoint=endpoint)])
    assert set(statuses(here.land(endpoint, "2026-11-02", "2026-11-04"))) == {"loaded"}
    assert here.query("select count(*) from claude_raw.pulls where status = 'failed'") == [(0,)]
    if endpoint == "user_cost_report":
        assert here.amount() == here.true_amount("2026-11-02", "2026-11-04")


def test_a_key_that_stays_repeated_is_refused_for_its_day_and_organisation_alone(make_world):
    here = make_world(
        {"acme": organization(), "globex": organization("sk-ant-api01-globex", seed=2, name="Globex")},
        faults=[Fault("repeated_row", "cost_report", day=dt.date(2026, 11, 3), organization="Acme Corp", times=None)],
    )
    outcomes = here.land("cost_report", "2026-11-02", "2026-11-04", ("acme", "globex"))
    assert [(one.organization_id, str(one.day)) for one in outcomes if one.status is DayStatus.FAILED] == [
        ("acme", "2026-11-03")
    ]
    ((error_type, message),) = here.query(
        "select error_type, error_message from claude_raw.pulls where status = 'failed'"
    )
    assert error_type == "repeated_key"
    assert message.startswith("acme: cost_report 2026-11-03: page 1: the answer `total` has 2 rows with one key")
    (folder,) = (here.settings.warehouse_path.parent / "quarantine").iterdir()
    assert (folder / "000001.json").exists()
    for name, first, last in (("acme", "2026-11-02", "2026-11-02"), ("globex", "2026-11-02", "2026-11-04")):
        total = here.query(
            "select sum(amount) from claude_raw.cost_report_rows "
            "where query = 'total' and organization_id = ? and activity_date between ? and ?",
            name, first, last,
        )[0][0]  # fmt: skip
        assert total == here.true_amount(first, last, name, "amount")


def test_a_stamp_that_moves_between_pages_begins_the_walk_anew_once(make_world):
    here = make_world(faults=[Fault("older_stamp", endpoint="user_cost_report", page=2)])
    pages = small_pages("user_cost_report", 5)
    assert set(statuses(here.land(pages, "2026-11-02"))) == {"loaded"}
    asked = here.requests("user_cost_report")
    cursors = [one.partition("page=")[2] for one in asked]
    assert cursors[:3] == ["", cursors[1], ""]
    assert cursors[2:] == sorted(set(cursors), key=cursors[2:].index)
    assert here.amount() == here.true_amount("2026-11-02", "2026-11-02")
    assert_nothing_half_or_twice(here)


def test_where_the_stamp_keeps_moving_the_oldest_counts(make_world):
    here = make_world(faults=[Fault("older_stamp", endpoint="user_cost_report", page=2, times=None)])
    assert set(statuses(here.land(small_pages("user_cost_report", 5), "2026-11-02"))) == {"loaded"}
    (stored,) = here.query("select data_refreshed_at from claude_raw.pulls where status = 'complete'")[0]
    here.server.api.faults.clear()
    here.land(small_pages("user_cost_report", 5), "2026-11-02")
    (whole,) = here.query("select max(data_refreshed_at) from claude_raw.pulls")[0]
    assert whole - stored == dt.timedelta(hours=1)
    assert here.amount() == here.true_amount("2026-11-02", "2026-11-02")
