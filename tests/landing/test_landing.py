"""Days become complete pulls: never half of one, never one twice, and one organisation's fault is its own."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelens_claude.api.endpoints import ENDPOINTS
from onelens_claude.api.windows import Window, windows
from onelens_claude.errors import WarehouseError
from onelens_claude.fake_api import Fault, Revision
from onelens_claude.fake_api.faults import ANSWER_FAULTS
from onelens_claude.landing import appending, fetching, landing
from onelens_claude.landing.landing import DayStatus
from onelens_claude.ledger.due import days_to_pull
from onelens_claude.ledger.held import current_days
from tests.organizations import organization
from tests.places import days, small_pages

if TYPE_CHECKING:
    from onelens_claude.landing.landing import DayOutcome
    from tests.places import Place

FIRST, LAST = "2026-11-01", "2026-11-19"
COSTS_BY_DAY = replace(ENDPOINTS["user_cost_report"], window_days=1)


def statuses(outcomes: list[DayOutcome]) -> list[str]:
    return [one.status.value for one in outcomes]


def ledger(here: Place, columns: str = "status, error_type, window_start, window_end") -> list[tuple[Any, ...]]:
    return here.query(f"select {columns} from claude_raw.pulls order by pull_sequence")


def assert_nothing_half_or_twice(here: Place, endpoint: str = "user_cost_report") -> None:
    """Every page and row belongs to a complete pull, and every complete pull has exactly what its ledger row says."""
    counted = f"row_number() over (partition by pull_id) from claude_raw.{endpoint}"
    first_query = ENDPOINTS[endpoint].queries[0].name  # the one whose rows the ledger counts
    complete = (
        f"from claude_raw.pulls, range({{count}}) as n(number) where status = 'complete' and endpoint = '{endpoint}'"
    )
    for stored, said in (
        (f"select pull_id, {counted}", f"select pull_id, number + 1 {complete.format(count='page_count')}"),
        (
            f"select pull_id, {counted}_rows where query = '{first_query}'",
            f"select pull_id, number + 1 {complete.format(count='row_count')}",
        ),
    ):
        assert here.query(f"({stored} except all {said}) union all ({said} except all {stored})") == []
    assert (
        here.query(f"from claude_raw.{endpoint}_rows anti join claude_raw.{endpoint} using (pull_id, page_number)")
        == []
    )
    assert here.query(
        "select count(*) - count(distinct pull_sequence), count(*) - count(distinct pull_id) from claude_raw.pulls"
    ) == [(0, 0)]


def assert_holds_the_truth(here: Place, first: str = FIRST, last: str = LAST, name: str = "acme") -> None:
    assert here.amount(where=f"organization_id = '{name}'") == here.true_amount(first, last, name) > 0
    assert_nothing_half_or_twice(here)


# windows


@given(st.sets(st.integers(0, 120)), st.integers(1, 40))
def test_windows_hold_every_day_once_are_no_longer_than_allowed_and_as_few_as_possible(offsets, longest):
    wanted = [dt.date(2026, 1, 1) + dt.timedelta(days=n) for n in offsets]
    found = windows(wanted, longest)
    assert [day for window in found for day in window.days] == sorted(wanted)
    assert all(1 <= len(window.days) <= longest for window in found)
    runs, run = [], 0  # lengths of the stretches of consecutive days
    for n in sorted(offsets):
        run = run + 1 if n - 1 in offsets else 1
        if n + 1 not in offsets:
            runs.append(run)
    assert len(found) == sum(-(-run // longest) for run in runs)


def test_a_day_given_twice_is_asked_for_once():
    assert windows([dt.date(2026, 1, 1)] * 2, 31) == [Window(dt.date(2026, 1, 1), dt.date(2026, 1, 2))]
    assert windows([], 31) == []


# good days


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_endpoint_lands_with_one_outcome_per_day(place, endpoint):
    here = place()
    outcomes = here.land(endpoint, FIRST, LAST)
    assert [one.day for one in outcomes] == days(FIRST, LAST)
    assert set(statuses(outcomes)) == {"loaded"}
    assert_nothing_half_or_twice(here, endpoint)
    assert here.query("select distinct run_id from claude_raw.pulls") == [("run",)]
    longest = ENDPOINTS[endpoint].window_days
    assert here.query("select count(*) from claude_raw.pulls") == [(-(-19 // longest),)]


def test_outcomes_carry_each_days_figures(place):
    here = place()
    outcomes = here.land("user_cost_report", FIRST, LAST)
    for one, true in zip(outcomes, here.truth("days", FIRST, LAST)["rows"], strict=True):
        assert (one.amount_cents or 0) == Decimal(true["user_amount"])
        assert one.data_refreshed_at == dt.datetime(2026, 11, 20, 8, tzinfo=dt.UTC)
    assert sum(one.row_count for one in outcomes) == here.query("select row_count from claude_raw.pulls")[0][0]
    assert_holds_the_truth(here)


def test_the_ungrouped_total_of_a_report_is_the_truth(place):
    here = place()
    here.land("cost_report", FIRST, LAST)
    assert here.amount("cost_report", "query = 'total'") == here.true_amount(FIRST, LAST, column="amount")
    assert here.amount("cost_report", "query = 'detail'") == here.true_amount(FIRST, LAST, column="amount")


def test_an_empty_organisation_and_empty_days_are_loaded_and_complete(place):
    here = place({"acme": organization(first_day=dt.date(2026, 11, 18))})
    for endpoint in ("user_cost_report", "cost_report", "users", "summaries"):
        outcomes = here.land(endpoint, "2026-11-10", "2026-11-19")
        assert set(statuses(outcomes)) == {"loaded"}
        assert endpoint == "summaries" or sum(one.row_count for one in outcomes[:5]) == 0
    assert here.amount() == here.true_amount("2026-11-10", "2026-11-19")


def test_organisations_land_side_by_side_and_keep_apart(place):
    here = place({"acme": organization(), "globex": organization("sk-ant-api01-globex", seed=2)})
    outcomes = here.land("user_cost_report", FIRST, LAST, ("acme", "globex"))
    assert [(one.day, one.organization_id) for one in outcomes[:3]] == [
        (dt.date(2026, 11, 1), "acme"), (dt.date(2026, 11, 1), "globex"), (dt.date(2026, 11, 2), "acme"),
    ]  # fmt: skip
    assert_holds_the_truth(here, name="acme")
    assert_holds_the_truth(here, name="globex")
    assert here.query("select organization_id, name, plan, revision_days from claude_raw.organizations order by 1") == [
        ("acme", "acme", "usage", 30), ("globex", "globex", "usage", 30),
    ]  # fmt: skip


def test_several_pages_are_one_pull(place):
    here = place()
    here.land(small_pages("user_cost_report", 20), FIRST, LAST)
    assert ledger(here, "page_count > 5, status") == [(True, "complete")]
    assert_holds_the_truth(here)


def test_many_small_pulls_are_appended_in_few_transactions(place, monkeypatch):
    here = place()
    batches: list[int] = []
    real = appending.append_pulls

    def counted(connection, pulls, **more):
        batches.append(len(pulls))
        return real(connection, pulls, **more)

    monkeypatch.setattr(landing, "append_pulls", counted)
    monkeypatch.setattr(landing, "_BATCH_PULLS", 10)
    here.land(COSTS_BY_DAY, FIRST, LAST)
    assert sum(batches) == 19
    assert len(batches) <= 4
    assert_holds_the_truth(here)


def test_two_to_eight_requests_are_on_their_way_at_once(place, monkeypatch):
    here = place()
    guard, running, most = threading.Lock(), 0, 0
    fetch = fetching.fetch

    def counted(*arguments, **options):
        nonlocal running, most
        with guard:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        try:
            return fetch(*arguments, **options)
        finally:
            with guard:
                running -= 1

    monkeypatch.setattr(landing, "fetch", counted)
    here.land("users", "2026-11-01", "2026-11-19")
    assert 2 <= most <= 8


def test_an_organisation_whose_first_answer_takes_long_does_not_hold_up_another(place):
    here = place({"acme": organization(), "beta": organization("sk-beta", seed=2)})
    acme, beta = (tenant.organization.organization_id for tenant in here.server.api.tenants)
    here.server.api.faults.add(Fault("slow", organization=acme, seconds=1.5))
    here.land("users", "2026-11-01", "2026-11-12", ("acme", "beta"))
    order = [one.organization_id for one in here.server.api.log]
    assert Counter(order) == {acme: 12, beta: 12}
    assert order.index(acme, order.index(acme) + 1) > 12  # all of beta came between acme's first two


def test_progress_counts_every_pull_and_every_page_once(place):
    here = place()
    seen = []
    here.onelens.landing("users", lambda *progress: seen.append(progress)).land(
        small_pages("users", 2), {"acme": days("2026-11-10", "2026-11-19")}
    )
    assert list(dict.fromkeys((done, total) for done, total, _ in seen)) == [(0, 0), *((n, 10) for n in range(1, 11))]
    pages = list(dict.fromkeys(count for _, _, count in seen))
    assert pages == list(range(1, len(here.requests("users")) + 1))
    assert len(pages) > 10


def test_days_nobody_can_have_are_not_asked_for(place, write_settings):
    here = place()
    organizations = [
        one.model_copy(update={"backfill_start": dt.date(2026, 11, 3)}) for one in here.settings.organizations
    ]
    here.settings = here.settings.model_copy(update={"organizations": tuple(organizations)})
    wanted = [
        dt.date(2025, 12, 31),
        dt.date(2026, 11, 2),
        dt.date(2026, 11, 19),
        dt.date(2026, 11, 20),
        dt.date(2026, 11, 21),
    ]
    outcomes = here.onelens.landing("users").land(ENDPOINTS["users"], {"acme": wanted})
    assert [(one.status.value, one.reason) for one in outcomes] == [
        ("unavailable", "the API holds nothing before 2026-01-01"),
        ("unavailable", "the settings' backfill_start is 2026-11-03"),
        ("loaded", ""),
        ("late", "2026-11-20 is not over yet (UTC)"),
        ("late", "2026-11-21 is not over yet (UTC)"),
    ]
    assert len(here.requests()) == 1


# the newest pull is the truth


@pytest.mark.parametrize("kind", ["up", "down", "empty", "new_user"])
def test_pulling_a_revised_day_again_replaces_its_truth_and_no_other_days(place, kind):
    here = place()
    here.land("user_cost_report", FIRST, LAST)
    before = here.true_amount(FIRST, LAST)
    here.server.api.tenants[0].organization.add_revision(Revision(dt.date(2026, 11, 6), kind))
    assert here.true_amount(FIRST, LAST) != before
    (outcome,) = here.land("user_cost_report", "2026-11-06")
    assert (outcome.row_count == 0) is (kind == "empty")
    assert_holds_the_truth(here)


def test_an_older_pull_that_covers_more_does_not_come_back_when_the_clock_goes_back(place, set_now):
    here = place()
    revise = here.server.api.tenants[0].organization.add_revision
    here.land("user_cost_report", FIRST, LAST)
    revise(Revision(dt.date(2026, 11, 6), "down", percent=50))
    set_now("2026-11-20T13:00:00Z")
    here.land("user_cost_report", "2026-11-05", "2026-11-07")
    assert_holds_the_truth(here)
    revise(Revision(dt.date(2026, 11, 6), "empty"))
    set_now("2026-11-20T12:30:00Z")
    here.land("user_cost_report", "2026-11-06")
    assert here.amount(where="activity_date = '2026-11-06'") == 0
    assert_holds_the_truth(here)


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
def test_a_fault_fails_its_own_pull_only(place, caplog, fault, error_type, words):
    caplog.set_level(logging.DEBUG)
    here = place(
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


def assert_no_key_anywhere(here: Place, log: str) -> None:
    folder = here.settings.warehouse_path.parent
    for one in here.settings.organizations:
        key = one.api_key()
        assert key not in log
        for path in folder.rglob("*"):
            assert path.is_dir() or key.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("kind", ["bad_amount", "html_200", "truncated_json"])
def test_refused_bytes_are_kept_aside_with_the_reason(place, kind):
    here = place(faults=[Fault(kind, page=2, times=None)])
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


def test_one_refused_pull_does_not_keep_back_the_others_of_its_batch(place):
    here = place(faults=[Fault("bad_amount", day=dt.date(2026, 11, 6))])
    outcomes = here.land(COSTS_BY_DAY, FIRST, LAST)
    assert [one.day for one in outcomes if one.status is DayStatus.FAILED] == [dt.date(2026, 11, 6)]
    assert statuses(outcomes).count("loaded") == 18
    assert here.amount() == here.true_amount(FIRST, "2026-11-05") + here.true_amount("2026-11-07", LAST)
    assert_nothing_half_or_twice(here)


def test_a_key_that_was_switched_off_half_way_is_not_asked_again_for_every_window(place):
    here = place(faults=[Fault("forbidden", after=5, times=None)])
    outcomes = here.land("users", FIRST, LAST)
    assert statuses(outcomes).count("loaded") == 5
    assert {one.status for one in outcomes} == {DayStatus.LOADED, DayStatus.FAILED}
    assert all("403 permission_error" in one.reason for one in outcomes if one.status is DayStatus.FAILED)
    assert len(here.requests("/users")) <= 5 + landing.FETCH_THREADS
    here.server.api.faults.clear()
    here.land("users", FIRST, LAST)
    with here.onelens.warehouse().writer() as connection:
        assert days_to_pull(connection, "acme", ENDPOINTS["users"], revision_days=30) == []


def test_access_switched_off_for_real_half_way_is_the_same(place, monkeypatch):
    here = place()
    asked = threading.Semaphore(6)
    real = fetching.fetch

    def fetch(*arguments: Any) -> Any:
        if not asked.acquire(blocking=False):
            here.server.api.tenants[0].access_enabled = False
        return real(*arguments)

    monkeypatch.setattr(landing, "fetch", fetch)
    outcomes = here.land("users", FIRST, LAST)
    assert 0 < statuses(outcomes).count("loaded") <= 6
    assert all("Public API access is not enabled" in one.reason for one in outcomes if one.status is DayStatus.FAILED)


def test_an_unreachable_host_fails_each_day_and_is_asked_little(place, write_settings):
    here = place()
    here.settings = write_settings(
        {"acme": ("key", "http://127.0.0.1:1"), "globex": ("sk-ant-api01-acme", here.server.base_url)}
    )
    outcomes = here.land("users", FIRST, LAST, ("acme", "globex"))
    assert {one.status for one in outcomes if one.organization_id == "globex"} == {DayStatus.LOADED}
    failed = [one for one in outcomes if one.organization_id == "acme"]
    assert {one.status for one in failed} == {DayStatus.FAILED}
    assert all("no complete answer from http://127.0.0.1:1: " in one.reason for one in failed)
    assert len([row for row in ledger(here) if row[0] == "failed"]) <= landing.FETCH_THREADS


def test_several_failures_in_a_row_end_the_asking_and_single_ones_do_not(place):
    here = place(faults=[Fault("html_200", times=None, after=3)])
    here.land("users", FIRST, LAST)
    assert len(here.requests("/users")) <= 3 + landing._FAILURES_IN_A_ROW + landing.FETCH_THREADS
    here.server.api.faults.clear()
    for day in days(FIRST, LAST)[::4]:
        here.server.api.faults.add(Fault("html_200", day=day))
    assert statuses(here.land("users", FIRST, LAST)).count("failed") == 5


def test_a_key_file_that_vanishes_is_the_days_failure(place):
    here = place()
    key_file = here.settings.source.parent / "acme.key"
    key_file.unlink()
    outcomes = here.land("users", FIRST, LAST)
    assert {one.status for one in outcomes} == {DayStatus.FAILED}
    assert "organizations.acme.api_key_file" in outcomes[0].reason
    assert len(here.requests()) == 0


def test_a_rate_limited_landing_loses_nothing(place):
    here = place(faults=[Fault("rate_limited", times=3, value="0.2")], polling={"attempts": 6})
    assert set(statuses(here.land("users", FIRST, LAST))) == {"loaded"}
    assert_nothing_half_or_twice(here, "users")


# days that are not there yet


def test_days_not_there_yet_are_late_in_the_apis_own_words(place):
    here = place({"acme": organization(engagement_lag_days=4)})
    outcomes = here.land("users", "2026-11-10", "2026-11-19")
    assert statuses(outcomes) == ["loaded"] * 7 + ["late"] * 3
    assert all("The latest available date is 2026-11-16." in one.reason for one in outcomes[7:])
    failed = here.query("select error_type, latest_available_day from claude_raw.pulls where status = 'failed'")
    assert set(failed) == {("not_yet_available", dt.date(2026, 11, 16))}


def test_of_a_window_the_days_that_are_there_are_loaded(place):
    here = place({"acme": organization(engagement_lag_days=4)})
    outcomes = here.land("summaries", "2026-11-10", "2026-11-19")
    assert statuses(outcomes) == ["loaded"] * 7 + ["late"] * 3
    assert ledger(here) == [
        ("failed", "not_yet_available", dt.date(2026, 11, 17), dt.date(2026, 11, 20)),
        ("complete", None, dt.date(2026, 11, 10), dt.date(2026, 11, 17)),
    ]
    assert len(here.requests()) == 2


def test_a_fetch_time_that_goes_backwards_is_a_warning(place, set_now, caplog):
    here = place()
    set_now("2026-11-22T12:00:00Z")
    here.land("users", "2026-11-10")
    assert "backwards" not in caplog.text
    set_now("2026-11-20T12:00:00Z")
    here.land("users", "2026-11-10")
    assert "the newest pull was fetched at 2026-11-22 12:00 UTC" in caplog.text
    (newest,) = here.query(f"select pull_sequence from ({current_days()})")
    assert newest == (2,)


# days before the oldest


@pytest.mark.parametrize("endpoint", ["users", "chat_projects"])
def test_days_before_the_apis_oldest_are_unavailable_and_the_others_are_loaded(place, endpoint):
    """An organisation younger than the range: the days refused first do not stop the rest."""
    here = place(faults=[Fault("too_early", value="2026-11-14", times=None)])
    outcomes = here.land(endpoint, "2026-11-01", "2026-11-19")
    assert statuses(outcomes) == ["unavailable"] * 13 + ["loaded"] * 6
    assert all("the earliest available date 2026-11-14" in one.reason for one in outcomes[:13])
    assert ledger(here)[0] == ("failed", "too_early", dt.date(2026, 11, 1), dt.date(2026, 11, 14))
    assert len(here.requests()) == 7


def test_a_window_is_trimmed_to_the_days_the_api_has(place):
    here = place(
        {"acme": organization(engagement_lag_days=4)}, faults=[Fault("too_early", value="2026-11-12", times=None)]
    )
    outcomes = here.land("summaries", "2026-11-10", "2026-11-19")
    assert statuses(outcomes) == ["unavailable"] * 2 + ["loaded"] * 5 + ["late"] * 3
    assert sorted(ledger(here)) == [
        ("complete", None, dt.date(2026, 11, 12), dt.date(2026, 11, 17)),
        ("failed", "not_yet_available", dt.date(2026, 11, 17), dt.date(2026, 11, 20)),
        ("failed", "too_early", dt.date(2026, 11, 10), dt.date(2026, 11, 12)),
    ]


def test_a_window_refused_as_too_early_without_a_date_is_halved_until_the_others_are_loaded(place, monkeypatch):
    monkeypatch.setitem(
        ANSWER_FAULTS, "too_early", (400, "The requested range is older than the data of this organization.")
    )
    here = place(faults=[Fault("too_early", value="2026-10-08", times=None)])
    outcomes = here.land("cost_report", "2026-10-01", "2026-10-19")
    assert statuses(outcomes) == ["unavailable"] * 7 + ["loaded"] * 12


def test_a_shortened_window_that_fails_is_a_failure(place):
    here = place({"acme": organization(engagement_lag_days=4)}, faults=[Fault("html_200", times=None)])
    outcomes = here.land("summaries", "2026-11-10", "2026-11-19")
    assert {one.status for one in outcomes} == {DayStatus.FAILED}
    assert ledger(here, "error_type") == [("malformed_response",)]


def test_a_latest_day_that_moves_back_between_two_requests_is_followed(place):
    here = place({"acme": organization(engagement_lag_days=2)})
    api, lags = here.server.api, iter([2, 4, 4])
    real = type(api).answer

    def answer(*arguments: Any) -> Any:
        api.tenants[0].organization.engagement_lag_days = next(lags)
        return real(api, *arguments)

    api.answer = answer
    outcomes = here.land("summaries", "2026-11-10", "2026-11-19")
    assert statuses(outcomes) == ["loaded"] * 7 + ["late"] * 3


def test_when_no_day_of_a_window_is_there_all_are_unavailable(place):
    here = place({"acme": organization(engagement_lag_days=4)})
    assert set(statuses(here.land("summaries", "2026-11-18", "2026-11-19"))) == {"late"}


# new and old forms


@pytest.mark.parametrize(
    "kind",
    [
        "unknown_product",
        "unknown_model",
        "extra_field",
        "old_email",
        "old_claude_tag",
        "old_model_names",
        "missing_fields",
    ],
)
def test_new_and_old_forms_flow_through_to_the_last_digit(place, kind):
    here = place(faults=[Fault(kind, times=None)])
    assert set(statuses(here.land("user_cost_report", FIRST, LAST))) == {"loaded"}
    assert_holds_the_truth(here)
    rows = "claude_raw.user_cost_report_rows"
    drift = here.query("select field from claude_raw.schema_drift order by 1")
    assert drift == (
        [("a_dimension_of_tomorrow",), ("a_field_of_tomorrow",), ("nested",)] if kind == "extra_field" else []
    )
    if kind == "extra_field":
        here.land("user_cost_report", FIRST, LAST)
        assert here.query("select count(*) from claude_raw.schema_drift") == [(3,)]
    if kind == "missing_fields":
        assert here.query(f"select count(list_amount), count(actor_deleted) from {rows}") == [(0, 0)]
        assert here.query("select data_refreshed_at from claude_raw.pulls") == [(None,)]
    if kind == "old_email":
        assert here.query(f"select count(actor_email_address), count(actor_email) > 0 from {rows}") == [(0, True)]
    value = {"unknown_product": ("product", "claude_of_tomorrow"), "unknown_model": ("model", "claude-tomorrow-9")}.get(
        kind
    )
    if value:
        assert here.query(f"select count(*) > 0 from {rows} where {value[0]} = '{value[1]}'") == [(True,)]


def test_older_summaries_and_null_blocks_land(place):
    here = place(
        faults=[
            Fault("old_summaries", endpoint="summaries", times=None),
            Fault("null_block", endpoint="users", times=None),
        ]
    )
    assert set(statuses(here.land("summaries", FIRST, LAST) + here.land("users", FIRST, LAST))) == {"loaded"}
    assert here.query("select count(*) from claude_raw.summaries_rows") == [(19,)]
    assert here.query("select count(*) > 0, count(chat_metrics) from claude_raw.users_rows") == [(True, 0)]


def test_another_organisation_behind_the_same_entry_is_refused(place, write_settings):
    here = place({"acme": organization(), "globex": organization("sk-ant-api01-globex", seed=2)})
    here.land("user_cost_report", "2026-11-01", "2026-11-10")
    (here.settings.source.parent / "acme.key").write_text("sk-ant-api01-globex")
    outcomes = here.land("user_cost_report", "2026-11-01", "2026-11-10")
    assert {one.status for one in outcomes} == {DayStatus.FAILED}
    assert "give each Claude organisation its own entry in the settings" in outcomes[0].reason
    (here.settings.source.parent / "acme.key").write_text("sk-ant-api01-acme")
    assert_holds_the_truth(here, "2026-11-01", "2026-11-10")


# the machine fails


def test_a_warehouse_that_cannot_be_written_is_one_clear_error_before_anything_is_asked(place):
    here = place()
    here.settings.warehouse_path.parent.write_text("a file in the folder's place")
    with pytest.raises(WarehouseError, match="data: cannot be created: "):
        here.land("users", FIRST, LAST)
    assert here.requests() == []


@pytest.mark.parametrize("name", ["spool", "quarantine"])
def test_a_folder_beside_the_warehouse_that_cannot_be_made_is_one_clear_error(place, name):
    here = place(faults=[Fault("bad_amount", times=None)])
    here.settings.warehouse_path.parent.mkdir()
    (here.settings.warehouse_path.parent / name).write_text("a file in the folder's place")
    with pytest.raises(WarehouseError, match=f"{name}.*cannot be kept"):
        here.land("user_cost_report", FIRST, LAST)


FULL_DISK = """
import resource, sys
from onelens_claude.api.endpoints import ENDPOINTS
from onelens_claude.errors import WarehouseError
from onelens_claude.orchestration.resources import Onelens
import datetime as dt
onelens = Onelens()
with onelens.warehouse().writer():
    pass
wal = sys.argv[1] == "warehouse"
if wal:
    from onelens_claude.landing import landing
    real = landing.append_pulls
    def append_pulls(*arguments, **more):
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        return real(*arguments, **more)
    landing.append_pulls = append_pulls
else:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    onelens.landing("users").land(ENDPOINTS["user_cost_report"], {"acme": [dt.date(2026, 11, day) for day in range(1, 20)]})
except WarehouseError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("full", "words"),
    [
        ("spool", "pages cannot be kept there until they are loaded: File too large"),
        ("warehouse", "onelens.duckdb: cannot be written: "),
    ],
)
def test_a_disk_that_fills_up_ends_the_landing_with_one_clear_error(place, full, words):
    here = place()
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, full], capture_output=True, text=True, timeout=60, check=False
    )
    assert words in done.stdout, done.stderr
    assert done.stderr == ""
    assert not (here.settings.warehouse_path.parent / "quarantine").exists()
    here.land("user_cost_report", FIRST, LAST)
    assert_holds_the_truth(here)


INTERRUPTED = """
import datetime as dt, signal
from onelens_claude.api.endpoints import ENDPOINTS
from onelens_claude.orchestration.resources import Onelens
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
print("begins", flush=True)
try:
    Onelens().landing("users").land(ENDPOINTS["users"], {"acme": [dt.date(2026, 11, day) for day in range(1, 20)]})
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_ctrl_c_ends_at_once_although_requests_wait_for_minutes(place):
    here = place(faults=[Fault("rate_limited", value="300", after=2, times=None)])
    with subprocess.Popen([sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        deadline = time.monotonic() + 20
        while len(here.requests()) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.3)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "interrupted\n"
        assert process.wait(20) == 0
    assert time.monotonic() - began < 5
    assert list((here.settings.warehouse_path.parent / "spool").iterdir()) == []


# killed at any moment, and two at once

LANDING = """
import datetime as dt, itertools, os, signal, sys
from dataclasses import replace
from onelens_claude.landing import appending
from onelens_claude.landing import landing
from onelens_claude.api.endpoints import ENDPOINTS
from onelens_claude.orchestration.resources import Onelens

point, number = sys.argv[1], int(sys.argv[2])
landing._BATCH_PULLS = 3

def kill_at(module, name, before):
    real, calls = getattr(module, name), itertools.count(1)
    def wrapped(*arguments, **more):
        call = next(calls)  # several threads call at once
        if call == number and before:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*arguments, **more)
        if call == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(module, name, wrapped)

if point != "none":
    module, name, when = point.split(" ")
    kill_at({"landing": landing, "appending": appending}[module], name, when == "before")
print("begins", flush=True)
endpoint = replace(ENDPOINTS["user_cost_report"], window_days=1)
Onelens().landing("user_cost_report").land(endpoint, {"acme": [dt.date(2026, 11, day) for day in range(1, 20)]}, run_id=point)
"""
POINTS = [
    ("landing fetch after", 7),
    ("appending _insert_rows before", 2),
    ("appending _insert_ledger_row after", 5),
    ("landing append_pulls after", 2),
]


def run_landing(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", LANDING, *arguments], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(("point", "number"), POINTS, ids=lambda value: str(value).replace(" ", "_"))
def test_a_landing_killed_in_the_act_and_run_again_holds_everything_once(place, point, number):
    here = place()
    with run_landing(point, str(number)) as process:
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    if here.settings.warehouse_path.exists():
        held = here.query("select count(*) from claude_raw.pulls")[0][0]
        if held:
            assert_nothing_half_or_twice(here)
    assert set(statuses(here.land(COSTS_BY_DAY, FIRST, LAST))) == {"loaded"}
    assert_holds_the_truth(here)
    assert list((here.settings.warehouse_path.parent / "spool").iterdir()) == []


def test_a_landing_killed_again_and_again_at_random_moments_holds_everything_once(place):
    here = place(faults=[Fault("slow", seconds=0.02, times=None)])
    moment = random.Random(int(os.environ.get("ONELENS_TEST_SEED", "7")))
    for _ in range(3):
        with run_landing("none", "0") as process:
            assert process.stdout
            process.stdout.readline()
            time.sleep(moment.uniform(0.05, 0.6))
            process.kill()
    here.land(COSTS_BY_DAY, FIRST, LAST)
    assert_holds_the_truth(here)
    assert list((here.settings.warehouse_path.parent / "spool").iterdir()) == []


def test_landings_of_another_process_and_of_threads_at_the_same_time_all_hold(place):
    here = place()
    with run_landing("none", "0") as process:
        assert process.stdout
        process.stdout.readline()
        endpoints = ["user_cost_report", "users", COSTS_BY_DAY]
        with ThreadPoolExecutor() as executor:
            outcomes = list(executor.map(lambda endpoint: here.land(endpoint, FIRST, LAST), endpoints))
        assert process.wait(60) == 0
    assert all(set(statuses(found)) == {"loaded"} for found in outcomes)
    assert here.query("select count(*) from claude_raw.pulls where endpoint = 'user_cost_report'") == [(19 * 2 + 1,)]
    assert_holds_the_truth(here)
    assert_nothing_half_or_twice(here, "users")


def test_a_landing_needs_little_lock_time(place):
    """While one landing waits for the API, others can write."""
    here = place(faults=[Fault("slow", seconds=1.5)])
    with ThreadPoolExecutor() as executor:
        slow = executor.submit(here.land, "user_cost_report", FIRST, LAST)
        time.sleep(0.5)
        began = time.monotonic()
        here.land("users", "2026-11-19")
        assert time.monotonic() - began < 1.0
        assert not slow.done()
        assert set(statuses(slow.result())) == {"loaded"}


# what is wrong with one day or one reading stays with it


@pytest.mark.parametrize("day", ["2026-11-01", "2026-11-10", "2026-11-19"], ids=["first", "middle", "last"])
def test_a_bad_row_costs_its_own_day_alone(place, day):
    here = place(faults=[Fault("bad_amount", endpoint="user_cost_report", day=dt.date.fromisoformat(day), times=None)])
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
def test_pages_that_overlapped_once_are_read_once_more_and_are_right(place, endpoint):
    here = place(faults=[Fault("repeated_row", endpoint=endpoint)])
    assert set(statuses(here.land(endpoint, "2026-11-02", "2026-11-04"))) == {"loaded"}
    assert here.query("select count(*) from claude_raw.pulls where status = 'failed'") == [(0,)]
    if endpoint == "user_cost_report":
        assert here.amount() == here.true_amount("2026-11-02", "2026-11-04")


def test_a_key_that_stays_repeated_is_refused_for_its_day_and_organisation_alone(place):
    here = place(
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


def test_a_stamp_that_moves_between_pages_begins_the_walk_anew_once(place):
    here = place(faults=[Fault("older_stamp", endpoint="user_cost_report", page=2)])
    pages = small_pages("user_cost_report", 5)
    assert set(statuses(here.land(pages, "2026-11-02"))) == {"loaded"}
    asked = here.requests("user_cost_report")
    cursors = [one.partition("page=")[2] for one in asked]
    assert cursors[:3] == ["", cursors[1], ""]
    assert cursors[2:] == sorted(set(cursors), key=cursors[2:].index)
    assert here.amount() == here.true_amount("2026-11-02", "2026-11-02")
    assert_nothing_half_or_twice(here)


def test_where_the_stamp_keeps_moving_the_oldest_counts(place):
    here = place(faults=[Fault("older_stamp", endpoint="user_cost_report", page=2, times=None)])
    assert set(statuses(here.land(small_pages("user_cost_report", 5), "2026-11-02"))) == {"loaded"}
    (stored,) = here.query("select data_refreshed_at from claude_raw.pulls where status = 'complete'")[0]
    here.server.api.faults.clear()
    here.land(small_pages("user_cost_report", 5), "2026-11-02")
    (whole,) = here.query("select max(data_refreshed_at) from claude_raw.pulls")[0]
    assert whole - stored == dt.timedelta(hours=1)
    assert here.amount() == here.true_amount("2026-11-02", "2026-11-02")
