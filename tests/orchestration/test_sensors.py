"""What the sensors ask for, when, and that they ask for nothing twice."""

from __future__ import annotations

import datetime as dt
import json
import os
from typing import TYPE_CHECKING

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

from onelens_claude.fake_api import Fault, Revision
from onelens_claude.orchestration import sensors
from onelens_claude.orchestration.dead_runs import PROCESS_TAG, process_of
from onelens_claude.orchestration.partitions import PARTITION_END_TAG, PARTITION_START_TAG
from tests.organizations import organization

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.worlds import World

REPORTS = ("user_usage_report", "user_cost_report", "usage_report", "cost_report")


@pytest.fixture
def make_published(make_world: Callable[..., World]) -> Callable[..., World]:
    """Return a function that makes a place which holds and publishes nineteen days of cost and usage."""

    def make(*names: str) -> World:
        here = make_world({name: organization(f"sk-{name}", seed=seed) for seed, name in enumerate(names, 1)})
        for endpoint in REPORTS:
            here.land(endpoint, "2026-11-01", "2026-11-19", names)
        here.onelens.warehouse().publish()
        here.server.api.log.clear()
        return here

    return make


def evaluate(here: World, cursor: str | None = None) -> tuple[list[dg.RunRequest], str, str | None]:
    """Return what one evaluation asks for, why it asks for nothing, and the cursor it leaves."""
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance=instance, cursor=cursor, resources={"onelens": here.onelens})
        data = sensors.revised_days_sensor.evaluate_tick(context)
    return list(data.run_requests or []), data.skip_message or "", data.cursor


def spans(requests: list[dg.RunRequest]) -> list[tuple[str, str]]:
    return [(one.tags[PARTITION_START_TAG], one.tags[PARTITION_END_TAG]) for one in requests]


def revise(here: World, *days: int, number: int = 0) -> None:
    for day in days:
        here.server.api.tenants[number].organization.add_revision(Revision(dt.date(2026, 11, day), "up"))


def test_a_run_is_asked_for_of_exactly_the_changed_days_and_the_organisation_they_are_of(make_published):
    here = make_published("acme", "beta")
    revise(here, 10, 11, 15, number=1)
    requests, _, cursor = evaluate(here)
    assert spans(requests) == [("2026-11-10", "2026-11-11"), ("2026-11-15", "2026-11-15")]
    configs = [config["config"] for one in requests for config in one.run_config["ops"].values()]
    assert {tuple(config["organizations"]) for config in configs} == {("beta",)}
    assert set(requests[0].run_config["ops"]) == {f"claude_raw__{name}" for name in (*REPORTS, "usage")}
    assert json.loads(cursor) == dict.fromkeys(["acme", "beta"], "2026-11-20T12:00:00+00:00")


def test_nothing_is_asked_for_when_nothing_changed_and_nothing_is_probed_again_that_day(make_published, set_now):
    here = make_published("acme")
    requests, skipped, cursor = evaluate(here)
    assert (requests, skipped) == ([], "No stored day changed.")
    asked = len(here.requests())
    set_now("2026-11-21T07:00:00Z")
    assert evaluate(here, cursor) == ([], "No stored day changed.", cursor)
    assert len(here.requests()) == asked
    set_now("2026-11-21T09:00:00Z")
    evaluate(here, cursor)
    assert len(here.requests()) > asked


def test_an_evaluation_that_is_repeated_before_the_run_ended_asks_for_the_same_run(make_published, set_now):
    here = make_published("acme")
    revise(here, 10)
    (first,), _, _ = evaluate(here)
    set_now("2026-11-20T18:00:00Z")  # the cursor was lost: the process crashed before the daemon kept it
    (second,), _, _ = evaluate(here)
    assert first.run_key == second.run_key


def test_a_run_that_failed_is_asked_for_again_the_next_day_and_a_further_change_at_once(make_published, set_now):
    here = make_published("acme")
    revise(here, 10)
    (failed,), _, cursor = evaluate(here)
    set_now("2026-11-21T12:00:00Z")
    (again,), _, _ = evaluate(here, cursor)
    assert again.run_key != failed.run_key
    for endpoint in REPORTS:
        here.land(endpoint, "2026-11-10")
    here.onelens.warehouse().publish()
    assert evaluate(here)[0] == []
    revise(here, 10)
    (further,), _, _ = evaluate(here)
    assert further.run_key not in {failed.run_key, again.run_key}


def test_an_organisation_that_refuses_is_said_and_tried_again_and_holds_up_no_other(make_published):
    here = make_published("acme", "beta")
    acme = here.server.api.tenants[0].organization.organization_id
    here.server.api.faults.add(Fault("forbidden", organization=acme, times=None))
    revise(here, 10, number=1)
    requests, _, cursor = evaluate(here)
    assert spans(requests) == [("2026-11-10", "2026-11-10")]
    assert list(json.loads(cursor)) == ["beta"]
    requests, skipped, cursor = evaluate(here, cursor)
    assert requests == []
    assert "acme: cost_report 2026-11-01..2026-11-19: 403 permission_error" in skipped
    here.server.api.faults.clear()
    assert set(json.loads(evaluate(here, cursor)[2])) == {"acme", "beta"}


def test_probes_that_take_too_long_are_left_to_the_next_evaluation(make_published, monkeypatch):
    here = make_published("acme", "beta")
    monkeypatch.setattr(sensors, "_SECONDS_PER_TICK", 0.3)
    here.server.api.faults.add(Fault("rate_limited", times=1))  # everybody waits for retry-after, longer than that
    requests, skipped, cursor = evaluate(here)
    assert requests == []
    assert "stopped" in skipped
    assert json.loads(cursor) == {}


def test_before_anything_is_published_nothing_is_asked(make_world):
    here = make_world()
    assert evaluate(here)[0] == []
    assert here.requests() == []


RAW, FACT, COPY = (
    dg.AssetKey(["claude_raw", "summaries"]),
    dg.AssetKey(["marts", "fct_claude_costs"]),
    dg.AssetKey(["serving", "onelens_serving"]),
)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as one:
        yield one


def materialise(instance: dg.DagsterInstance, *keys: dg.AssetKey) -> None:
    for key in keys:
        instance.report_runless_asset_event(dg.AssetMaterialization(key))


def build_asked_for(instance: dg.DagsterInstance) -> tuple[list[dg.RunRequest], str]:
    data = sensors.stale_marts_sensor.evaluate_tick(dg.build_sensor_context(instance=instance))
    return list(data.run_requests or []), data.skip_message or ""


def test_a_build_that_failed_is_asked_for_again_the_next_day(instance, set_now):
    set_now("2026-11-21T12:00:00Z")
    materialise(instance, RAW)
    (first,), _ = build_asked_for(instance)
    set_now("2026-11-21T23:59:00Z")
    (same,), _ = build_asked_for(instance)
    set_now("2026-11-22T00:01:00Z")
    (again,), _ = build_asked_for(instance)
    assert first.run_key == same.run_key != again.run_key


def test_raw_days_loaded_alone_are_followed_by_one_build_however_often_it_is_looked(instance):
    assert build_asked_for(instance)[0] == []
    materialise(instance, RAW, FACT, COPY)
    assert build_asked_for(instance)[0] == []
    materialise(instance, *[RAW] * 5)
    (first,), _ = build_asked_for(instance)
    (second,), _ = build_asked_for(instance)
    assert first.run_key == second.run_key
    materialise(instance, FACT)  # built, but what was built is not published
    assert len(build_asked_for(instance)[0]) == 1
    materialise(instance, COPY)
    assert build_asked_for(instance)[0] == []
    materialise(instance, RAW)
    (further,), _ = build_asked_for(instance)
    assert further.run_key != first.run_key


def test_a_build_waits_until_the_last_run_of_a_range_has_ended(instance):
    materialise(instance, RAW)
    run = instance.create_run_for_job(dg.job(name="later")(lambda: None))
    assert build_asked_for(instance) == ([], "Raw days were loaded; the marts are built when no run is under way.")
    instance.report_run_failed(run)
    assert len(build_asked_for(instance)[0]) == 1


def test_a_build_waits_for_a_backfill_whose_runs_are_not_asked_for_yet(instance):
    materialise(instance, RAW)
    backfill = PartitionBackfill("some", BulkActionStatus.REQUESTED, False, {}, 0.0, asset_selection=[RAW])
    instance.add_backfill(backfill)
    assert build_asked_for(instance)[0] == []
    instance.update_backfill(backfill.with_status(BulkActionStatus.COMPLETED_SUCCESS))
    assert len(build_asked_for(instance)[0]) == 1


def test_a_command_that_loads_builds_for_itself_and_is_built_for_when_it_was_killed(instance):
    @dg.asset(key=RAW)
    def raw() -> None:
        return None

    run_id = dg.materialize([raw], instance=instance).run_id
    instance.add_run_tags(run_id, {PROCESS_TAG: process_of(run_id)})
    assert build_asked_for(instance)[1].startswith("The command that loaded raw days")
    killed = process_of(run_id).replace(f":{os.getpid()}:", ":99999999:")
    instance.add_run_tags(run_id, {PROCESS_TAG: killed})
    assert len(build_asked_for(instance)[0]) == 1
