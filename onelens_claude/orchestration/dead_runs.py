"""Runs whose process is gone: a killed run would keep the writer's pool slot for ever.

Whoever starts a run (a command, the webserver, the daemon, `dagster job execute`), its process writes itself into the
run's tags before the first step asks for the slot. Commands look before they start and while they wait; the daemon's
run monitoring asks the launcher named in `dagster.yaml`.

What is here: which process executes a run, where its job is, and the end of runs that have no process.
What to add here: another way to see that a run is dead. What must not go here: waiting (`cli/runs.py`), starting runs.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from onelens_claude.orchestration.private_apis import CheckRunHealthResult, WorkerStatus, place_in_code_location

if TYPE_CHECKING:
    from onelens_claude.orchestration.resources import Onelens

PROCESS_TAG = "onelens/process"
"""Host, process id, its start, and the run itself: a run that is executed again inherits the tags of the first."""
CODE_LOCATION = "onelens_claude.definitions:defs"
"""Its name in the UI, which Dagster makes from `workspace.yaml`."""
_IN_PROGRESS = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
_KILLED = "The process that executed this run was killed."


class WatchedRunLauncher(dg.DefaultRunLauncher):
    """Dagster's own launcher, which can also tell run monitoring whether a run's process is still there."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Let run monitoring ask."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return FAILED for a run whose process is gone; a run that names none counts as running."""
        if _is_dead(run):
            return CheckRunHealthResult(WorkerStatus.FAILED, _KILLED)
        return CheckRunHealthResult(WorkerStatus.RUNNING)


def tags_its_run(onelens: Onelens) -> dg.ResourceDefinition:
    """Return the resource that writes the process into the run's tags, which happens before a step takes a slot."""

    @dg.resource(description="Settings, warehouse and API clients.")
    def resource(context: dg.InitResourceContext) -> Onelens:
        if context.run and context.instance and context.run.tags.get(PROCESS_TAG) != process_of(context.run.run_id):
            context.instance.add_run_tags(context.run.run_id, {PROCESS_TAG: process_of(context.run.run_id)})
        if context.run and context.instance and context.run.remote_job_origin is None:
            place_in_code_location(context.instance, context.run, CODE_LOCATION)
        return onelens

    return resource


def process_of(run_id: str) -> str:
    """Return the tag's value for a run that this process executes."""
    return f"{os.uname().nodename}:{os.getpid()}:{_started(os.getpid())}:{run_id}"


def end_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs whose process is gone as failed and free the slots of all ended runs; return the runs' ids."""
    dead = [run for run in instance.get_runs(filters=dg.RunsFilter(statuses=_IN_PROGRESS)) if _is_dead(run)]
    for run in dead:
        instance.report_run_failed(run, _KILLED)
    for run_id in instance.event_log_storage.get_concurrency_run_ids():
        holder = instance.get_run_by_id(run_id)
        if holder is None or holder.is_finished:
            instance.event_log_storage.free_concurrency_slots_for_run(run_id)
    return [run.run_id for run in dead]


def process_id(run: dg.DagsterRun) -> int | None:
    """Return the id of the process that executes a run; null where it is unknown or on another host."""
    host, number, _, run_id = _parts(run)
    return int(number) if host == os.uname().nodename and run_id == run.run_id else None


def executes_still(run: dg.DagsterRun) -> bool:
    """Return whether the process that executes or executed a run is there: a command that has more to do after it."""
    return process_id(run) is not None and not _is_dead(run)


def _is_dead(run: dg.DagsterRun) -> bool:
    number = process_id(run)
    return number is not None and _started(number) != _parts(run)[2]


def _parts(run: dg.DagsterRun) -> tuple[str, str, str, str]:
    parts = run.tags.get(PROCESS_TAG, "").rsplit(":", 3)
    return (parts[0], parts[1], parts[2], parts[3]) if len(parts) == len(("host", "id", "start", "run")) else ("",) * 4


def _started(number: int) -> str:
    """Return when a process started, in the kernel's ticks; "gone" when there is none or only its exit code is left."""
    try:
        stat = Path(f"/proc/{number}/stat").read_text(encoding="utf-8")
    except OSError:
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            return "gone"
        except PermissionError:
            pass
        return ""  # the system does not say when
    fields = stat.rsplit(")", 1)[1].split()
    return "gone" if fields[0] in {"Z", "X"} else fields[19]
