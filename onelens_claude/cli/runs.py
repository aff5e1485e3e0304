"""Executing the jobs of the code location from a command, on the instance in DAGSTER_HOME."""

from __future__ import annotations

import io
import re
import sys
import uuid
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg
from sqlalchemy.exc import DBAPIError

from onelens_claude.cli.output import note, progress_bars
from onelens_claude.errors import WarehouseError
from onelens_claude.orchestration.dead_runs import PROCESS_TAG, end_dead_runs, process_of
from onelens_claude.orchestration.instance import prepare_home
from onelens_claude.orchestration.resources import ONELENS_RESOURCE, Onelens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onelens_claude.settings import Settings

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
"""Colours: dbt writes them into its error messages."""


@dataclass(frozen=True, slots=True)
class JobResult:
    """The outcome of a run."""

    run_id: str
    success: bool
    failures: tuple[str, ...]
    """One message per failed step."""
    checks: Mapping[str, CheckResult]
    """By asset and check name."""


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
    with dg.DagsterInstance.get() as instance, progress_bars(planned) as on_progress:
        for dead in end_dead_runs(instance):
            note(f"Run {dead} had been killed; it is now marked as failed.")
        defs = build_defs(resource_overrides={ONELENS_RESOURCE: Onelens(settings, on_progress=on_progress)})
        level = "INFO" if verbose else "CRITICAL"
        run_config = {
            **(config or dg.RunConfig()).to_config_dict(),  # type: ignore[no-untyped-call]
            "loggers": {"console": {"config": {"log_level": level}}},
        }
        # dbt's own output goes to stdout, where a command's data belongs; Dagster keeps it in the run's log.
        with redirect_stdout(sys.stderr if verbose else io.StringIO()):
            try:
                result = defs.resolve_job_def(name).execute_in_process(
                    instance=instance,
                    run_config=run_config,
                    tags={PROCESS_TAG: process_of(run_id), **(tags or {})},
                    run_id=run_id,
                    asset_selection=[dg.AssetKey.from_user_string(asset) for asset in assets] if assets else None,
                    raise_on_error=False,
                )
            except DBAPIError as error:
                raise WarehouseError(
                    f"{home}: Dagster cannot write its log there: {error.orig}. Is the disk full? "
                    "What is loaded stays; run the same command again to continue."
                ) from None
        return _result(result)


def _result(result: dg.ExecuteInProcessResult) -> JobResult:
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
    return JobResult(result.run_id, result.success, tuple(failures), checks)
