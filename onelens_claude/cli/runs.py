"""Executing the jobs of the code location from a command, on the instance in DAGSTER_HOME."""

from __future__ import annotations

import io
import re
import shlex
import signal
import sys
import threading
import time
import uuid
from concurrent.futures import Future, wait
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg
from sqlalchemy.exc import DBAPIError

from onelens_claude.cli.output import note, progress_bars
from onelens_claude.cli.terminal import kept_console
from onelens_claude.errors import WarehouseError
from onelens_claude.orchestration.assets.dbt import kill_dbt
from onelens_claude.orchestration.assets.raw import WRITER_POOL
from onelens_claude.orchestration.dead_runs import PROCESS_TAG, end_dead_runs, process_id, process_of
from onelens_claude.orchestration.instance import prepare_home
from onelens_claude.orchestration.resources import ONELENS_RESOURCE, Onelens
from onelens_claude.waiting import waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from onelens_claude.settings import Settings

COMMAND_TAG = "onelens/command"
"""The command whose run it is, as the UI shows it."""
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
"""Colours: dbt writes them into its error messages."""
_LOOK_EVERY = 1.0
_LONGEST_SLOT_WAIT = 12 * 3600.0
"""Seconds: a step of another run may be a backfill of many hours."""
_MOMENT = 0.7
"""Seconds: Ctrl-C has two for everything."""


@dataclass(frozen=True, slots=True)
class JobResult:
    """The outcome of a run."""

    run_id: str
    success: bool
    failures: tuple[str, ...]
    """One message per failed step."""
    checks: Mapping[str, CheckResult]
    """By asset and check name."""
    job: str = ""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The outcome of a check."""

    passed: bool
    is_error: bool
    """Whether its severity is ERROR rather than WARN."""
    description: str


def run_job(
    name: str,
    settings: Settings,
    *,
    tags: Mapping[str, str] | None = None,
    config: dg.RunConfig | None = None,
    assets: list[str] | None = None,
    planned: Mapping[str, int] | None = None,
    verbose: bool = False,
) -> JobResult:
    """Execute one job, or only `assets` of it, in this process; the run is in the UI like any other.

    `planned` requests per endpoint let the progress bars show the total time left.
    """
    from onelens_claude.definitions import build_defs  # loading the dbt manifest takes a second

    home, run_id = prepare_home(), str(uuid.uuid4())
    with (
        dg.DagsterInstance.get() as instance,
        kept_console() as console,
        progress_bars(planned, console) as on_progress,
    ):
        for dead in end_dead_runs(instance):
            note(f"Run {dead} had been killed; it is now marked as failed.")
        defs = build_defs(resource_overrides={ONELENS_RESOURCE: Onelens(settings, on_progress=on_progress)})
        level = "INFO" if verbose else "CRITICAL"
        run_config = {
            **(config or dg.RunConfig()).to_config_dict(),  # type: ignore[no-untyped-call]
            "loggers": {"console": {"config": {"log_level": level}}},
        }
        work = _InAThread(
            lambda: defs.resolve_job_def(name).execute_in_process(
                instance=instance,
                run_config=run_config,
                tags={PROCESS_TAG: process_of(run_id), COMMAND_TAG: _command_line() or name, **(tags or {})},
                run_id=run_id,
                asset_selection=[dg.AssetKey.from_user_string(asset) for asset in assets] if assets else None,
                raise_on_error=False,
            )
        )
        # dbt's own output goes to stdout, where a command's data belongs; Dagster keeps it in the run's log.
        with redirect_stdout(sys.stderr if verbose else io.StringIO()):
            work.start()
            try:
                _watch(work, instance, run_id)
                result = work.result()
            except DBAPIError as error:
                raise WarehouseError(
                    f"{home}: Dagster cannot write its log there: {error.orig}. Is the disk full? "
                    "What is loaded stays; run the same command again to continue."
                ) from None
            finally:
                if not work.is_done_within(0):
                    _give_up(instance, run_id)
        return _result(name, result)


def _command_line() -> str:
    """Return the command as it was typed; empty in somebody else's program."""
    program, *arguments = sys.argv
    return shlex.join(["onelens-claude", *arguments]) if "onelens" in program else ""


class _InAThread(threading.Thread):
    """A run beside the main thread, which stays free for Ctrl-C and ends the process without waiting for it.

    Children of this thread do not get the terminal's Ctrl-C: they would answer it with tracebacks.
    """

    def __init__(self, execute: Callable[[], dg.ExecuteInProcessResult]) -> None:
        super().__init__(name="run", daemon=True)
        self._execute = execute
        self._future: Future[dg.ExecuteInProcessResult] = Future()

    def run(self) -> None:
        """Execute, and keep the result or what was raised."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._future.set_result(self._execute())
        except BaseException as error:  # noqa: BLE001 - raised again by `result`
            self._future.set_exception(error)

    def is_done_within(self, seconds: float) -> bool:
        """Wait until the run has ended, no longer than this."""
        return bool(wait([self._future], timeout=seconds).done)

    def result(self) -> dg.ExecuteInProcessResult:
        """Return the result, or raise what the run raised."""
        return self._future.result()


def _watch(work: _InAThread, instance: dg.DagsterInstance, run_id: str) -> None:
    """Wait until the run has ended. While it waits for the writer's slot, say who has it, and end runs that are dead.

    Raises WarehouseError where the slot was not free for twelve hours.
    """
    while not work.is_done_within(_LOOK_EVERY):
        if not _waits_for_slot(instance, run_id):
            continue
        deadline = time.monotonic() + _LONGEST_SLOT_WAIT
        with waiting(lambda: f"Waiting for {_slot_holder(instance)}", limit=_LONGEST_SLOT_WAIT, topic="pool slot"):
            while _waits_for_slot(instance, run_id) and not work.is_done_within(_LOOK_EVERY):
                end_dead_runs(instance)
                if time.monotonic() > deadline:
                    raise WarehouseError(
                        f"{_slot_holder(instance)} has not let others write for {_LONGEST_SLOT_WAIT / 3600:.0f} hours; "
                        "end it if it hangs, then run the same command again"
                    )


def _waits_for_slot(instance: dg.DagsterInstance, run_id: str) -> bool:
    return run_id in instance.event_log_storage.get_concurrency_info(WRITER_POOL).pending_run_ids


def _slot_holder(instance: dg.DagsterInstance) -> str:
    """Return which run has the writer's slot: its job, its process as far as it is known, and where to see it."""
    for slot in instance.event_log_storage.get_concurrency_info(WRITER_POOL).claimed_slots:
        if run := instance.get_run_by_id(slot.run_id):
            number = process_id(run)
            return f"run {run.run_id[:8]} of {run.job_name}{f' (process {number})' if number else ''}, which writes now"
    return "the writer's slot"


def _give_up(instance: dg.DagsterInstance, run_id: str) -> None:
    """Mark the run as stopped and end its dbt; what takes longer than a moment is left to the next command."""

    def mark() -> None:
        with suppress(Exception):
            if run := instance.get_run_by_id(run_id):
                instance.report_run_canceled(run, "Stopped from outside; what was loaded stays.")
                instance.event_log_storage.free_concurrency_slots_for_run(run_id)

    marking = threading.Thread(target=mark, daemon=True)
    marking.start()
    marking.join(_MOMENT)
    kill_dbt()


def _result(job: str, result: dg.ExecuteInProcessResult) -> JobResult:
    checks = {
        f"{check.asset_key.to_user_string()} {check.check_name}": CheckResult(
            check.passed, check.severity is dg.AssetCheckSeverity.ERROR, check.description or "did not pass"
        )
        for check in result.get_asset_check_evaluations()
    }
    failures = []
    for event in result.get_step_failure_events():
        error = event.step_failure_data.error
        user_failure = event.step_failure_data.user_failure_data
        reason = user_failure.description if user_failure and user_failure.description else None
        if not reason and error:
            innermost = error.cause or error
            reason = innermost.message.strip()
        failures.append(f"{event.step_key}: {_ANSI.sub('', reason or 'failed')}")
    return JobResult(result.run_id, result.success, tuple(failures), checks, job)
