"""The code location: the only place where everything is put together.

What is here: `build_defs`, which takes every list from its module or from its caller, and `defs`.
What to add here: a module that brings a new list. What must not go here: an asset, check, job, schedule or sensor.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import dagster as dg

from onelens_claude.folders import PRIVATE
from onelens_claude.orchestration.assets.alerts import build_alerts
from onelens_claude.orchestration.assets.dbt import build_dbt_assets, build_dbt_resource, dbt_project
from onelens_claude.orchestration.assets.erasure import erasures
from onelens_claude.orchestration.assets.raw import build_ledger_assets, build_raw_assets
from onelens_claude.orchestration.assets.report import report
from onelens_claude.orchestration.assets.retention import deletions
from onelens_claude.orchestration.assets.serving import build_serving_copy
from onelens_claude.orchestration.assets.watch import watch_tables
from onelens_claude.orchestration.checks import build_checks
from onelens_claude.orchestration.dead_runs import tags_its_run
from onelens_claude.orchestration.jobs import build_jobs
from onelens_claude.orchestration.resources import DBT_RESOURCE, ONELENS_RESOURCE, Onelens
from onelens_claude.orchestration.schedules import SCHEDULES
from onelens_claude.orchestration.sensors import SENSORS
from onelens_claude.orchestration.serving_resource import DUCKDB_RESOURCE, ServingCopyResource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from onelens_claude.settings import Settings


def build_defs(
    *,
    settings: Settings | None = None,
    assets: Iterable[Any] | None = None,
    asset_checks: Iterable[Any] | None = None,
    jobs: Iterable[Any] | None = None,
    schedules: Iterable[Any] | None = None,
    sensors: Iterable[Any] | None = None,
    resource_overrides: Mapping[str, Any] | None = None,
) -> dg.Definitions:
    """Return the definitions; without `settings` the file is read when a run needs it.

    Each list that is given takes the place of the project's own. `resource_overrides` replaces or adds resources by
    name (`onelens`, `dbt`, `duckdb`), so that tests need no monkeypatching.
    """
    project = dbt_project()
    if assets is None:
        dbt_models = build_dbt_assets(project)
        marts = sorted(key for key in dbt_models.keys if key.path[0] == "marts")
        assets = [
            *build_raw_assets(),
            *build_ledger_assets(),
            deletions,
            erasures,
            watch_tables,
            dbt_models,
            build_alerts(marts),
            build_serving_copy(marts),
            report,
        ]
    resources: dict[str, Any] = {
        ONELENS_RESOURCE: Onelens(settings),
        DBT_RESOURCE: build_dbt_resource(project),
        DUCKDB_RESOURCE: ServingCopyResource(database=str(settings.serving_path) if settings else ""),
        **(resource_overrides or {}),
    }
    if isinstance(resources[ONELENS_RESOURCE], Onelens):
        resources[ONELENS_RESOURCE] = tags_its_run(resources[ONELENS_RESOURCE])
    return dg.Definitions(
        assets=list(assets),
        asset_checks=list(build_checks() if asset_checks is None else asset_checks),
        jobs=list(build_jobs() if jobs is None else jobs),
        schedules=list(SCHEDULES if schedules is None else schedules),
        sensors=list(SENSORS if sensors is None else sensors),
        resources=resources,
        executor=dg.in_process_executor,
    )


os.umask(PRIVATE)  # a code server started by Dagster itself makes files, too
defs = build_defs()
