"""Private parts of Dagster and dagster-dbt that the project uses, all of them.

What is here: each private name once, why it is needed, and the public way to fall back on when a new version drops it.
What to add here: another private name, only where no public one serves, with a test in `test_private_apis.py`.
What must not go here: logic; the modules that use these names have it. Versions are pinned exactly (`pyproject.toml`).
"""

from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version

import dagster as dg
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION
from dagster._core.events.log import EventLogEntry
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster_dbt import DbtCliResource
from packaging.version import Version

__all__ = [
    "NO_EVENT_MARK",
    "BulkActionStatus",
    "BulkActionsFilter",
    "CheckRunHealthResult",
    "EventLogEntry",
    "InstalledDbt",
    "SqliteEventLogStorage",
    "WorkerStatus",
    "place_in_code_location",
]

NO_EVENT_MARK = SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION
"""Metadata key of an output that writes no event of its own, so that a day without data is neither a success nor a
failure and downstream steps still run. Public way: two runs, the raw assets first and everything behind them in a
second, where skipped outputs harm nothing; `daily_job` would then no longer be one run."""

# SqliteEventLogStorage, EventLogEntry: `event_log.py` keeps a transaction open over a batch of events. Public way:
# Dagster's own log with DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS=1, which plans a range as one event per asset;
# materialisations are then still a transaction each, and a failed run marks no partition as failed.

# CheckRunHealthResult, WorkerStatus: what run monitoring asks a launcher (`dead_runs.py`). Public way: none; without
# them a daemon frees nothing, and the next command does.

# BulkActionsFilter, BulkActionStatus: whether a backfill is under way (`sensors.py`). Public way: none; without
# them the marts may be built once more between two runs of one backfill.


def place_in_code_location(instance: dg.DagsterInstance, run: dg.DagsterRun, location: str) -> None:
    """Write into a run that a process started by itself where its job is, so that the UI's pages of the job show it.

    Only the webserver and the daemon do so by themselves. Public way: the page of all runs, which needs no place.
    """
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(location), "__repository__")
    instance.add_run_tags(run.run_id, {".dagster/repository": repository.get_label()})
    if labelled := instance.get_run_by_id(run.run_id):
        instance.run_storage.replace_job_origin(labelled, RemoteJobOrigin(repository, run.job_name))


class InstalledDbt(DbtCliResource):
    """Knows dbt's version from the installed package, and opens no second dbt in this process.

    Before each command, the base class runs `dbt --version`, which asks the package index over the network, and sets up
    an adapter for row counts and column metadata, which nobody here asks dbt for. Each takes seconds. Public way: the
    base class itself, slower.
    """

    @cached_property
    def _cli_version(self) -> Version:
        return Version(version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> None:  # type: ignore[override] # it may be None
        """Return no adapter: the base class goes on without one, too, when it cannot set it up."""
