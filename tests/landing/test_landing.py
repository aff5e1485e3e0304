"""Days become complete pulls, the newest pull is the truth, and new and old forms of an answer are read."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelens_claude.api.endpoints import ENDPOINTS
from onelens_claude.api.windows import Window, windows
from onelens_claude.fake_api import Fault, Revision
from onelens_claude.landing import appending, asking, fetching, work
from onelens_claude.landing.work import DayStatus
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
def test_every_endpoint_lands_with_one_outcome_per_day(make_world, endpoint):
    here = make_world()
    outcomes = here.land(endpoint, FIRST, LAST)
    assert [one.day for one in outcomes] == days(FIRST, LAST)
    assert set(statuses(outcomes)) == {"loaded"}
    assert_nothing_half_or_twice(here, endpoint)
    assert here.query("select distinct run_id from claude_raw.pulls") == [("run",)]
    longest = ENDPOINTS[endpoint].window_days
    assert here.query("select count(*) from claude_raw.pulls") == [(-(-19 // longest),)]


def test_outcomes_carry_each_days_figures(make_world):
    here = make_world()
    outcomes = here.land("user_cost_report", FIRST, LAST)
    for one, true in zip(outcomes, here.truth("acme", "days", FIRST, LAST)["rows"], strict=True):
        assert (one.amount_cents or 0) == Decimal(true["user_amount"])
        assert one.data_refreshed_at == dt.datetime(2026, 11, 20, 8, tzinfo=dt.UTC)
    assert sum(one.row_count for one in outcomes) == here.query("select row_count from claude_raw.pulls")[0][0]
    assert_holds_the_truth(here)


def test_the_ungrouped_total_of_a_report_is_the_truth(make_world):
    here = make_world()
    here.land("cost_report", FIRST, LAST)
    assert here.amount("cost_report", "query = 'total'") == here.true_amount(FIRST, LAST, column="amount")
    assert here.amount("cost_report", "query = 'detail'") == here.true_amount(FIRST, LAST, column="amount")


def test_an_empty_organisation_and_empty_days_are_loaded_and_complete(make_world):
    here = make_world({"acme": organization(first_day=dt.date(2026, 11, 18))})
    for endpoint in ("user_cost_report", "cost_report", "users", "summaries"):
        outcomes = here.land(endpoint, "2026-11-10", "2026-11-19")
        assert set(statuses(outcomes)) == {"loaded"}
        assert endpoint == "summaries" or sum(one.row_count for one in outcomes[:5]) == 0
    assert here.amount() == here.true_amount("2026-11-10", "2026-11-19")


def test_organisations_land_side_by_side_and_keep_apart(make_world):
    here = make_world({"acme": organization(), "globex": organization("sk-ant-api01-globex", seed=2)})
    outcomes = here.land("user_cost_report", FIRST, LAST, ("acme", "globex"))
    assert [(one.day, one.organization_id) for one in outcomes[:3]] == [
        (dt.date(2026, 11, 1), "acme"), (dt.date(2026, 11, 1), "globex"), (dt.date(2026, 11, 2), "acme"),
    ]  # fmt: skip
    assert_holds_the_truth(here, name="acme")
    assert_holds_the_truth(here, name="globex")


def test_several_pages_are_one_pull(make_world):
    here = make_world()
    here.land(small_pages("user_cost_report", 20), FIRST, LAST)
    assert ledger(here, "page_count > 5, status") == [(True, "complete")]
    assert_holds_the_truth(here)


def test_many_small_pulls_are_appended_in_few_transactions(make_world, monkeypatch):
    here = make_world()
    batches: list[int] = []
    real = appending.append_pulls

    def counted(connection, pulls, **more):
        batches.append(len(pulls))
        return real(connection, pulls, **more)

    monkeypatch.setattr(work, "append_pulls", counted)
    monkeypatch.setattr(work, "_BATCH_PULLS", 10)
    here.land(COSTS_BY_DAY, FIRST, LAST)
    assert sum(batches) == 19
    assert len(batches) <= 4
    assert_holds_the_truth(here)


def test_two_to_eight_requests_are_on_their_way_at_once(make_world, monkeypatch):
    here = make_world()
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

    monkeypatch.setattr(asking, "fetch", counted)
    here.land("users", "2026-11-01", "2026-11-19")
    assert 2 <= most <= 8


def test_an_organisation_whose_first_answer_takes_long_does_not_hold_up_another(make_world):
    here = make_world({"acme": organization(), "beta": organization("sk-beta", seed=2)})
    acme, beta = (tenant.organization.organization_id for tenant in here.server.api.tenants)
    here.server.api.faults.add(Fault("slow", organization=acme, seconds=1.5))
    here.land("users", "2026-11-01", "2026-11-12", ("acme", "beta"))
    order = [one.organization_id for one in here.server.api.log]
    assert Counter(order) == {acme: 12, beta: 12}
    assert order.index(acme, order.index(acme) + 1) > 12  # all of beta came between acme's first two


def test_progress_counts_every_pull_and_every_page_once(make_world):
    here = make_world()
    seen = []
    here.onelens.landing("users", lambda *progress: seen.append(progress)).land(
        small_pages("users", 2), {"acme": days("2026-11-10", "2026-11-19")}
    )
    assert list(dict.fromkeys((done, total) for done, total, _ in seen)) == [(0, 0), *((n, 10) for n in range(1, 11))]
    pages = list(dict.fromkeys(count for _, _, count in seen))
    assert pages == list(range(1, len(here.requests("users")) + 1))
    assert len(pages) > 10


def test_days_nobody_can_have_are_not_asked_for(make_world, write_settings):
    here = make_world()
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
def test_pulling_a_revised_day_again_replaces_its_truth_and_no_other_days(make_world, kind):
    here = make_world()
    here.land("user_cost_report", FIRST, LAST)
    before = here.true_amount(FIRST, LAST)
    here.server.api.tenants[0].organization.add_revision(Revision(dt.date(2026, 11, 6), kind))
    assert here.true_amount(FIRST, LAST) != before
    (outcome,) = here.land("user_cost_report", "2026-11-06")
    assert (outcome.row_count == 0) is (kind == "empty")
    assert_holds_the_truth(here)


def test_an_older_pull_that_covers_more_does_not_come_back_when_the_clock_goes_back(make_world, set_now):
    here = make_world()
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
def test_new_and_old_forms_flow_through_to_the_last_digit(make_world, kind):
    here = make_world(faults=[Fault(kind, times=None)])
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


def test_older_summaries_and_null_blocks_land(make_world):
    here = make_world(
        faults=[
            Fault("old_summaries", endpoint="summaries", times=None),
            Fault("null_block", endpoint="users", times=None),
        ]
    )
    assert set(statuses(here.land("summaries", FIRST, LAST) + here.land("users", FIRST, LAST))) == {"loaded"}
    assert here.query("select count(*) from claude_raw.summaries_rows") == [(19,)]
    assert here.query("select count(*) > 0, count(chat_metrics) from claude_raw.users_rows") == [(True, 0)]


def test_another_organisation_behind_the_same_entry_is_refused(make_world, write_settings):
    here = make_world({"acme": organization(), "globex": organization("sk-ant-api01-globex", seed=2)})
    here.land("user_cost_report", "2026-11-01", "2026-11-10")
    (here.settings.source.parent / "acme.key").write_text("sk-ant-api01-globex")
    outcomes = here.land("user_cost_report", "2026-11-01", "2026-11-10")
    assert {one.status for one in outcomes} == {DayStatus.FAILED}
    assert "give each Claude organisation its own entry in the settings" in outcomes[0].reason
    (here.settings.source.parent / "acme.key").write_text("sk-ant-api01-acme")
    assert_holds_the_truth(here, "2026-11-01", "2026-11-10")
