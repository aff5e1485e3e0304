"""What is older than the retention goes everywhere, and nothing else goes."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from onelens_claude.alerts.fact import Fact
from onelens_claude.alerts.log import AlertLog
from onelens_claude.errors import OnelensError, WarehouseError
from onelens_claude.landing.quarantine import Quarantine
from onelens_claude.orchestration.assets.retention import deletions as deletions_asset
from onelens_claude.privacy.bodies import rows_with_text
from onelens_claude.privacy.retention import delete_expired, deletions, expired
from onelens_claude.settings import Retention
from onelens_claude.warehouse.files import Warehouse
from tests.organizations import organization

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.worlds import World

FIRST, LAST = "2026-11-01", "2026-11-19"
KEPT = dt.date(2026, 11, 8)
BODIES = "select endpoint, page_number, payload from claude_raw.{} join claude_raw.pulls using (pull_id) order by all"


@pytest.mark.parametrize(
    ("months", "today", "first_kept"),
    [
        (12, "2026-11-26", "2025-11-26"),
        (12, "2028-02-29", "2027-02-28"),
        (1, "2026-03-31", "2026-02-28"),
        (3, "2026-01-15", "2025-10-15"),
        (0, "2026-01-15", None),
    ],
)
def test_a_month_back_is_the_same_day_of_that_month_or_its_last(months, today, first_kept):
    found = Retention(months=months).first_kept_day(dt.date.fromisoformat(today))
    assert (str(found) if found else None) == first_kept


@pytest.fixture
def loaded(make_world: Callable[..., World]) -> World:
    here = make_world({"acme": organization(), "globex": organization("sk-ant-api01-globex", name="Globex")})
    for endpoint in ("user_cost_report", "cost_report", "users"):
        here.land(endpoint, FIRST, LAST, ("acme", "globex"))
    return here


def days_in_pages(here: World) -> list[str]:
    """Return the days that the stored bodies name, sorted."""
    named = {
        row["starting_at"][:10]
        for table in ("user_cost_report", "cost_report")
        for _, _, payload in here.query(BODIES.format(table))
        for row in json.loads(payload)["data"]
    }
    asked = here.query("select distinct window_start::varchar from claude_raw.pulls where endpoint = 'users'")
    return sorted(named | {day for (day,) in asked})


def younger_rows(here: World) -> list[tuple[object, ...]]:
    return here.query(f"from claude_raw.user_cost_report_rows where activity_date >= '{KEPT}' order by all")


def test_older_days_go_from_pages_rows_and_ledger_and_younger_ones_stay_as_they_came(loaded):
    texts = {text for *_, payload in loaded.query(BODIES.format("user_cost_report"))
             for row, text in rows_with_text(payload[payload.index("["):]) if row["starting_at"] >= str(KEPT)}  # fmt: skip
    rows = younger_rows(loaded)
    gone = delete_expired(loaded.onelens.warehouse(), KEPT, run_id="r")
    assert {(one.organization_id, one.endpoint) for one in gone} == {
        (name, endpoint) for name in ("acme", "globex") for endpoint in ("user_cost_report", "cost_report", "users")
    }
    assert days_in_pages(loaded)[0] == str(KEPT)
    assert days_in_pages(loaded)[-1] == LAST
    bodies = [payload for *_, payload in loaded.query(BODIES.format("user_cost_report"))]
    assert {text for body in bodies for _, text in rows_with_text(body[body.index("[") :])} == texts
    assert all(json.loads(body)["has_more"] in {True, False} for body in bodies)
    assert younger_rows(loaded) == rows
    assert loaded.query("select min(window_start), min(window_end) > min(window_start) from claude_raw.pulls") == [
        (KEPT, True)
    ]
    for table in ("user_cost_report_rows", "cost_report_rows", "users_rows"):
        assert loaded.query(f"select min(activity_date) >= ? from claude_raw.{table}", KEPT) == [(True,)]


def test_looks_at_old_days_go_too(loaded):
    for day in ("2026-11-07", "2026-11-08"):
        loaded.query(
            "insert into claude_raw.watch_looks (look_sequence, look_id, organization_id, activity_date, status, looked_at)"
            " values (1, ?::varchar, 'acme', ?::date, 'complete', ?::timestamp)", day, day, day,
        )  # fmt: skip
    delete_expired(loaded.onelens.warehouse(), KEPT)
    assert loaded.query("select look_id from claude_raw.watch_looks") == [("2026-11-08",)]


def test_what_would_go_is_told_before_and_what_went_is_recorded(loaded):
    with loaded.onelens.warehouse().working_reader() as connection:
        planned = expired(connection, KEPT)
    assert {(one.organization_id, one.endpoint): (one.first_day, one.pull_count) for one in planned}[
        "acme", "users"
    ] == (dt.date(2026, 11, 1), 7)
    assert delete_expired(loaded.onelens.warehouse(), KEPT, run_id="r") == planned
    with loaded.onelens.warehouse().working_reader() as connection:
        recorded = deletions(connection)
    assert [(one["organization_id"], one["endpoint"], one["row_count"]) for one in recorded] == [
        (one.organization_id, one.endpoint, one.row_count) for one in planned
    ]
    assert {(one["deleted_before"], one["run_id"], one["erased_at"] is None) for one in recorded} == {
        (KEPT, "r", False)
    }
    assert delete_expired(loaded.onelens.warehouse(), KEPT) == []


def test_a_crash_before_the_file_is_rewritten_is_mended_by_the_next_call(loaded, monkeypatch):
    def killed(_: Warehouse) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Warehouse, "compact", killed)
        with pytest.raises(KeyboardInterrupt):
            delete_expired(loaded.onelens.warehouse(), KEPT)
    assert loaded.query("select count(*) from claude_raw.deletions where erased_at is null") == [(6,)]
    assert delete_expired(loaded.onelens.warehouse(), KEPT) == []
    assert loaded.query("select count(*) from claude_raw.deletions where erased_at is null") == [(0,)]


def test_the_copy_is_replaced_by_one_without_old_days_but_never_by_one_without_younger(loaded):
    warehouse = loaded.onelens.warehouse()
    warehouse.publish()
    delete_expired(warehouse, KEPT)
    warehouse.publish()
    assert loaded.rows("select min(window_start) as first from claude_raw.pulls") == [{"first": KEPT}]
    loaded.query("delete from claude_raw.pulls where organization_id = 'acme' and window_end > '2026-11-18'")
    with pytest.raises(WarehouseError, match="acme 2026-11-08 to 2026-11-19"):
        warehouse.publish()


def test_an_expired_day_is_not_asked_for_again_and_is_no_gap(loaded, set_now):
    loaded.settings = loaded.settings.model_copy(update={"retention": Retention(months=1)})
    set_now("2026-12-08T12:00:00Z")
    delete_expired(loaded.onelens.warehouse(), loaded.settings.first_kept_day)
    asked = len(loaded.requests())
    (outcome,) = loaded.land("user_cost_report", "2026-11-07")
    assert str(outcome.status) == "unavailable"
    assert outcome.reason == "the settings' retention.months keeps nothing before 2026-11-08"
    assert len(loaded.requests()) == asked
    assert loaded.settings.first_day("acme") == KEPT


def test_rows_are_cut_from_any_spelling_of_a_list():
    listed = '[ {"a": "\\ud800 , ]"},\n{"a":{"b":[1, 2]}} ,{"a":1.50}\t]'
    assert [text for _, text in rows_with_text(listed)] == ['{"a": "\\ud800 , ]"}', '{"a":{"b":[1, 2]}}', '{"a":1.50}']
    assert list(rows_with_text("[ ]")) == []


def test_a_run_deletes_from_warehouse_quarantine_and_alert_log_and_shows_the_counts(loaded, set_now):
    loaded.settings = loaded.settings.model_copy(update={"retention": Retention(months=1)})
    set_now("2026-12-08T12:00:00Z")
    log, quarantine = AlertLog(loaded.settings.alerts_path), loaded.settings.warehouse_path.parent / "quarantine"
    now = dt.datetime(2026, 12, 8, tzinfo=dt.UTC)
    log.record([fact(7), fact(8)], [], ["acme"], now)
    for name, day in (("old", "2026-11-07"), ("new", "2026-11-08")):
        (quarantine / name).mkdir(parents=True)
        (quarantine / name / "error.json").write_text(json.dumps({"pages": [{"request_path": f"/users?date={day}"}]}))
    Quarantine(quarantine).keep_answer("undated", OnelensError("no page"), b"<html>")
    run = dg.materialize([deletions_asset], resources={"onelens": loaded.onelens})
    (event,) = run.asset_materializations_for_node("claude_raw__deletions")
    shown: dict[str, Any] = {name: value.value for name, value in event.metadata.items()}
    assert (shown["kept from"], shown["alerts"], shown["refused answers"]) == ("2026-11-08", 1, 1)
    assert shown["rows"] > 50
    assert sorted(one.name for one in quarantine.iterdir()) == ["new", "undated"]
    assert (
        log.record([fact(7), fact(8)], [], ["acme"], now) != []
    )  # the older one is new again, had it a day to come from
    assert log.record([fact(8)], [], ["acme"], now) == []


def fact(day: int) -> Fact:
    return Fact(
        event="anomaly",
        organization_id="acme",
        identity=("user", str(day)),
        severity="warning",
        title="t",
        text="t",
        occurred_on=dt.date(2026, 11, day),
        query="select 1",
    )


def test_tidy_shows_what_would_be_deleted_and_deletes_nothing(loaded, set_now):
    set_now("2027-11-08T12:00:00Z")
    answer = loaded.good("tidy", "--dry-run", "--json").json
    assert answer["kept_from"] == "2026-11-08"
    assert {(one["organization_id"], one["endpoint"]) for one in answer["expired"]} >= {("acme", "cost_report")}
    assert "Days before 2026-11-08" in loaded.good("tidy", "--dry-run").text
    assert days_in_pages(loaded)[0] == FIRST
