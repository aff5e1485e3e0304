"""Backfills that are killed, refused in the middle, or run twice at once: same totals, nothing twice, nothing half."""

from __future__ import annotations

import os
import time
from collections import Counter
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from onelens_claude.api.endpoints import ENDPOINTS
from onelens_claude.fake_api import Fault
from tests.worlds import FACTS_ONLY

from .conftest import FIRST, LAST, SECRET, small_organization

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from tests.worlds import World

RANGE = ("--from", FIRST, "--to", LAST)
DAYS = 4


def assert_the_truth_is_loaded(world: World, name: str = "acme") -> None:
    """Totals, users and tokens are the server's; the ledger and the rows hold nothing twice and no half pull."""
    true = world.truth(name, "days", FIRST, LAST)["rows"]
    days = world.rows("from marts.cost_reconciliation where organization_id = ? order by activity_date", name)
    assert [str(day["activity_date"]) for day in days] == [day["day"] for day in true]
    assert [day["total_cents"] for day in days] == [Decimal(day["amount"]) for day in true]
    assert [day["user_cents"] for day in days] == [Decimal(day["user_amount"]) for day in true]
    assert {day["status"] for day in days} == {"exact"}
    (spent,) = world.rows(
        "select sum(amount_cents) as cents from marts.fct_claude_costs where organization_id = ?", name
    )
    assert spent["cents"] == sum(Decimal(day["amount"]) for day in true)
    (tokens,) = world.rows("select sum(total_tokens) as n from marts.fct_claude_usage where organization_id = ?", name)
    assert tokens["n"] == sum(day["total_tokens"] for day in true)
    for endpoint in {row["endpoint"] for row in world.rows("from claude_raw.pulls where status = 'complete'")}:
        pages = world.rows(f"select pull_id, count(*) as n from claude_raw.{endpoint} group by all")
        ledger = world.rows("from claude_raw.pulls where status = 'complete' and endpoint = ?", endpoint)
        assert {one["pull_id"]: one["n"] for one in pages} == {one["pull_id"]: one["page_count"] for one in ledger}
        counted = ENDPOINTS[endpoint].queries[0].name  # the ledger counts the rows of the first question
        rows = world.rows(
            f"select pull_id, count(*) as n from claude_raw.{endpoint}_rows where query = ? group by all", counted
        )
        assert {one["pull_id"]: one["n"] for one in rows} == {
            one["pull_id"]: one["row_count"] for one in ledger if one["row_count"]
        }


def assert_every_day_was_pulled_once(world: World) -> None:
    pulls = world.rows(
        """select endpoint, unnest(range(window_start, window_end, interval 1 day))::date as activity_date
        from claude_raw.pulls where status = 'complete'"""
    )
    times = Counter((one["endpoint"], one["activity_date"]) for one in pulls)
    assert len(times) == 9 * DAYS
    assert set(times.values()) == {1}


def assert_status_is_clean(world: World) -> None:
    found = world.good("status", "--json").json["status"]
    assert {(one["state"], len(one["gaps"]), one["reason"]) for one in found} == {("complete", 0, "")}


def kill_when(world: World, reached: Callable[[], bool]) -> int:
    """Start a backfill in a process of its own and kill it, and only it, as soon as `reached`; return its group."""
    process: subprocess.Popen[str] = world.start("backfill", *RANGE)
    try:
        deadline = time.monotonic() + 120
        while not reached():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
    return process.pid


@pytest.mark.usefixtures("facts_only")
def test_a_backfill_killed_at_several_moments_and_run_again_is_as_if_it_had_run_once(world):
    log = world.servers["acme"].api.log

    def has_been_asked(times: int) -> bool:
        return len(log) >= times

    for asked in (1, 20):
        kill_when(world, partial(has_been_asked, asked))
    group = kill_when(world, (world.folder / "data" / "dbt" / "dbt.log").exists)

    again = world.good("backfill", *RANGE)
    with pytest.raises(ProcessLookupError):  # its dbt ended with it
        os.killpg(group, 0)

    assert "Continuing the backfill that began at" in again.stderr
    assert "had been killed" in again.stderr
    assert_the_truth_is_loaded(world)
    assert_every_day_was_pulled_once(world)
    assert_status_is_clean(world)
    assert not list((world.folder / "data" / "spool").glob("*/*"))
    assert not list((world.folder / "data").glob("backfill*"))
    with world.instance() as instance:
        statuses = Counter(run.status for run in instance.get_runs())
        assert statuses == {dg.DagsterRunStatus.FAILURE: 3, dg.DagsterRunStatus.SUCCESS: 2 + 1}
        slots = instance.event_log_storage.get_concurrency_info("warehouse_writer")
        assert (slots.active_slot_count, slots.pending_step_count) == (0, 0)


def test_two_backfills_at_the_same_time_both_end_well_with_the_truth(world):
    both = [world.start("backfill", *RANGE, command=FACTS_ONLY) for _ in range(2)]
    try:
        for process in both:
            out, err = process.communicate(timeout=240)
            assert process.returncode == 0, out + err
            assert "Traceback" not in err
    finally:
        for process in both:
            process.kill()
            process.wait()
    assert_the_truth_is_loaded(world)
    assert_status_is_clean(world)


@pytest.mark.usefixtures("facts_only")
def test_access_switched_off_in_the_middle_keeps_what_is_loaded_and_the_next_run_with_a_new_key_fills_the_rest(
    make_world,
):
    world = make_world({"acme": small_organization(), "beta": small_organization(api_key="sk-ant-api01-beta", seed=2)})
    acme = world.servers["acme"].api.tenants[0].organization.organization_id
    world.servers["acme"].api.faults.add(Fault("forbidden", organization=acme, times=None, after=14))

    answer = world.run("backfill", *RANGE)

    assert answer.exit_code == 1
    assert "permission_error" in answer.stderr
    assert "public API access must be on" in answer.stderr
    assert "Traceback" not in answer.text
    assert SECRET not in answer.text
    missing = [line for line in answer.stderr.splitlines() if line.startswith("missing: ")]
    assert len(missing) == len({line.split()[2] for line in missing}) > 5  # one line per endpoint
    assert f"missing: acme: users {FIRST}..{LAST} (4 days): 403 permission_error: " in answer.stderr
    assert f"Run `onelens-claude backfill --from {FIRST} --to {LAST}` again" in answer.stderr
    kept = world.rows("from claude_raw.pulls where organization_id = 'acme' and status = 'complete'")
    assert kept
    assert_the_truth_is_loaded(world, "beta")
    states = world.good("status", "--json").json["status"]
    assert {one["state"] for one in states if one["organization_id"] == "beta"} == {"complete"}
    refused = [one for one in states if one["organization_id"] == "acme" and one["state"] == "forbidden"]
    assert refused
    assert all("permission_error" in one["reason"] for one in refused)

    world.servers["acme"].api.faults.clear()
    world.control("acme", "key", api_key="sk-ant-api01-rotated")
    world.keys["acme"] = "sk-ant-api01-rotated"
    (begun,) = world.good("status", "--json").json["unfinished_backfills"]
    assert begun["command"] == f"onelens-claude backfill --from {FIRST} --to {LAST}"
    planned = {one["endpoint"]: one for one in world.good("backfill", *RANGE, "--plan", "--json").json["plan"]
               if one["organization_id"] == "acme"}  # fmt: skip
    world.servers["acme"].api.log.clear()
    world.good("backfill", *RANGE)
    asked = Counter(
        one.path.rsplit("/", 1)[1].replace("projects", "chat_projects") for one in world.servers["acme"].api.log
    )
    assert asked.keys() == {name for name, one in planned.items() if one["requests"]}
    assert all(asked[name] == one["requests"] for name, one in planned.items() if name != "cost_report")
    assert asked["cost_report"] >= planned["cost_report"]["requests"]  # a capped answer comes in pieces

    assert_the_truth_is_loaded(world)
    assert_status_is_clean(world)
    pulls = {one["pull_id"] for one in world.rows("from claude_raw.pulls where organization_id = 'acme'")}
    assert {one["pull_id"] for one in kept} <= pulls
    assert sum(one["status"] == "failed" for one in world.rows("from claude_raw.pulls"))
