"""The code location: the only place where everything is put together.

What is here: the definitions of Dagster. What to add here: a new asset, check, job, schedule, sensor or resource.
What must not go here: what any of them does (`orchestration`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from onelens_claude.orchestration.assets.dbt import build_dbt_assets, build_dbt_resource, dbt_project
from onelens_claude.orchestration.assets.raw import build_ledger_assets, build_raw_assets
from onelens_claude.orchestration.assets.serving import build_serving_copy
from onelens_claude.orchestration.checks import build_checks
from onelens_claude.orchestration.jobs import build_jobs
from onelens_claude.orchestration.resources import DBT_RESOURCE, ONELENS_RESOURCE, Onelens
from onelens_claude.orchestration.schedules import daily_schedule, housekeeping_schedule
from onelens_claude.orchestration.sensors import revised_days_sensor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onelens_claude.settings import Settings


def build_defs(
    *, settings: Settings | None = None, resource_overrides: Mapping[str, Any] | None = None
) -> dg.Definitions:
    """Return the definitions; without `settings` the file is read when a run needs it.

    `resource_overrides` replaces resources by name (`onelens`, `dbt`), so that tests need no monkeypatching.
    """
    project = dbt_project()
    dbt_models = build_dbt_assets(project)
    marts = sorted(key for key in dbt_models.keys if key.path[0] == "marts")
    resources: dict[str, Any] = {
        ONELENS_RESOURCE: Onelens(settings),
        DBT_RESOURCE: build_dbt_resource(project),
    }
    return dg.Definitions(
        assets=[*build_raw_assets(), *build_ledger_assets(), dbt_models, build_serving_copy(marts)],
        asset_checks=build_checks(),
        jobs=build_jobs(),
        schedules=[daily_schedule, housekeeping_schedule],
        sensors=[revised_days_sensor],
        resources={**resources, **(resource_overrides or {})},
        executor=dg.in_process_executor,
    )


defs = build_defs()
