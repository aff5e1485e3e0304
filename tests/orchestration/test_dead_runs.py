"""Runs of any origin that were killed: the daemon and the next command end them and free the writer's slot."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from onelens_claude.orchestration.dead_runs import (
    PROCESS_TAG,
    WatchedRunLauncher,
    end_dead_runs,
    process_of,
    tags_its_run,
)
from onelens_claude.orchestration.event_log import BATCH_SIZE, BATCH_VARIABLE
from onelens_claude.orchestration.instance import prepare_home
from onelens_claude.orchestration.private_apis import WorkerStatus
from onelens_claude.orchestration.resources import Onelens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

POOL = "warehouse_writer"
HOLDS_THE_SLOT = f"""
import sys, time
import dagster as dg
from onelens_claude.orchestration.dead_runs import tags_its_run
from onelens_claude.orchestration.resources import Onelens

@dg.op(pool="{POOL}", required_resource_keys={{"onelens"}})
def hold():
    print("holding", flush=True)
    time.sleep(300)

@dg.job(resource_defs={{"onelens": tags_its_run(Onelens())}}, executor_def=dg.in_process_executor)
def somebodys_job():
    hold()

sys.stdout.reconfigure(line_buffering=True)
somebodys_job.execute_in_process(instance=dg.DagsterInstance.get())
"""
"""A run that no command of ours started: nothing but the resource knows its process."""


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv(BATCH_VARIABLE, BATCH_SIZE)
    prepare_home()
    with dg.DagsterInstance.get() as instance:
        yield instance


@pytest.fixture
def killed_run(instance: dg.DagsterInstance, tmp_path: Path) -> Callable[[], dg.DagsterRun]:
    """Return a function that starts a run in a process of its own, lets it take the slot, and kills it."""

    def make() -> dg.DagsterRun:
        script = tmp_path / "holder.py"
        script.write_text(HOLDS_THE_SLOT)
        process = subprocess.Popen(
            [sys.executable, str(script)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            while not (slots := instance.event_log_storage.get_concurrency_info(POOL).claimed_slots):
                assert process.poll() is None
            (run,) = instance.get_runs()
            assert [slot.run_id for slot in slots] == [run.run_id]
            assert end_dead_runs(instance) == []  # it still runs
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return run

    return make


def slots_and_claims(instance: dg.DagsterInstance) -> tuple[int, int]:
    info = instance.event_log_storage.get_concurrency_info(POOL)
    return info.active_slot_count, info.pending_step_count + info.assigned_step_count


def test_the_next_command_ends_a_killed_run_that_no_command_started_and_frees_its_slot(instance, killed_run):
    run = killed_run()
    assert slots_and_claims(instance)[0] == 1
    assert end_dead_runs(instance) == [run.run_id]
    assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.FAILURE
    assert slots_and_claims(instance) == (0, 0)
    assert end_dead_runs(instance) == []


def test_the_daemons_run_monitoring_ends_a_killed_run_and_the_next_command_frees_what_it_left(instance, killed_run):
    from dagster._daemon.monitoring.run_monitoring import monitor_started_run

    run = killed_run()
    (record,) = instance.get_run_records(filters=dg.RunsFilter(run_ids=[run.run_id]))
    unused: Any = None  # the workspace serves runs that are resumed
    monitor_started_run(instance, unused, record, logging.getLogger(__name__))
    assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.FAILURE
    assert end_dead_runs(instance) == []
    assert slots_and_claims(instance) == (0, 0)


def test_our_instance_looks_every_few_seconds_and_frees_slots(instance):
    assert isinstance(instance.run_launcher, WatchedRunLauncher)
    assert instance.run_monitoring_enabled
    assert instance.run_monitoring_poll_interval_seconds <= 10
    assert instance.run_monitoring_settings["free_slots_after_run_end_seconds"] <= 10


@pytest.mark.parametrize(
    ("tag", "is_dead"),
    [
        (process_of, False),
        (lambda run_id: process_of(run_id).replace(os.uname().nodename, "another-host"), False),
        (lambda _: process_of("the run this one repeats"), False),
        (lambda _: "", False),
        (lambda run_id: f"{os.uname().nodename}:{os.getpid()}:1:{run_id}", True),  # the id was given to another since
        (lambda run_id: f"{os.uname().nodename}:99999999:1:{run_id}", True),
    ],
    ids=["alive", "elsewhere", "executed again", "unknown", "id used again", "gone"],
)
def test_only_a_run_whose_own_process_is_known_to_be_gone_is_dead(tag, is_dead):
    run = dg.DagsterRun(job_name="any", run_id="b2b3f3a0-0000-0000-0000-000000000000")
    run = run.with_tags({PROCESS_TAG: tag(run.run_id)})
    found = WatchedRunLauncher().check_run_worker_health(run).status
    assert found is (WorkerStatus.FAILED if is_dead else WorkerStatus.RUNNING)


def test_a_run_names_its_process_before_its_first_step_needs_the_slot(instance):
    seen = {}

    @dg.op(required_resource_keys={"onelens"})
    def look(context):
        seen.update(context.instance.get_run_by_id(context.run_id).tags)

    @dg.job(resource_defs={"onelens": tags_its_run(Onelens())}, executor_def=dg.in_process_executor)
    def job() -> None:
        look()

    run_id = job.execute_in_process(instance=instance).run_id
    assert seen[PROCESS_TAG] == process_of(run_id)


def test_a_run_that_a_process_starts_by_itself_is_at_its_jobs_place_in_the_ui(instance):
    @dg.job(resource_defs={"onelens": tags_its_run(Onelens())}, executor_def=dg.in_process_executor)
    def some_job() -> None:
        dg.op(name="some", required_resource_keys={"onelens"})(lambda: None)()

    run_id = some_job.execute_in_process(instance=instance).run_id
    label = "__repository__@onelens_claude.definitions:defs"
    (run,) = instance.get_runs(filters=dg.RunsFilter(job_name="some_job", tags={".dagster/repository": label}))
    assert run.run_id == run_id
    assert run.status is dg.DagsterRunStatus.SUCCESS
    assert run.remote_job_origin.repository_origin.get_label() == label
    assert run.tags[PROCESS_TAG] == process_of(run_id)
