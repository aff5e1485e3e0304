"""The jobs: raw pulls, everything after them, both, and housekeeping.

What is here: which assets or ops a job selects, and run configuration. What to add here: another job.
What must not go here: when a job runs (`schedules.py`, `sensors.py`), what an asset does (`assets`).
"""

import dataclasses
from typing import Any

import dagster as dg

from onelens_claude.api.endpoints import ENDPOINTS, Family, endpoints_of
from onelens_claude.orchestration.assets.erasure import ERASURES_KEY
from onelens_claude.orchestration.assets.raw import GROUP, SETTINGS_KEYS, WRITER_POOL, IngestConfig
from onelens_claude.orchestration.assets.retention import RETENTION_KEY
from onelens_claude.orchestration.assets.watch import WATCH_KEYS
from onelens_claude.orchestration.resources import Onelens
from onelens_claude.warehouse.housekeeping import tidy

_RAW = dg.AssetSelection.assets(*[[GROUP, name] for name in ENDPOINTS])
_AFTER_RAW: dg.AssetSelection = dg.AssetSelection.assets(*SETTINGS_KEYS) | dg.AssetSelection.groups(
    "staging", "intermediate", "marts", "serving"
)
_RETENTION = dg.AssetSelection.assets(RETENTION_KEY)
_ERASURE = dg.AssetSelection.assets(ERASURES_KEY)


def raw_config(config: IngestConfig, endpoints: list[str] | None = None) -> dg.RunConfig:
    """Return run configuration that gives `config` to every raw asset, or to `endpoints`."""
    return dg.RunConfig(ops={f"{GROUP}__{name}": config for name in endpoints or ENDPOINTS})


@dg.op(pool=WRITER_POOL, description="Remove superseded pulls that changed nothing and give their space back.")
def tidy_raw_store(context: dg.OpExecutionContext, onelens: dg.ResourceParam[Onelens]) -> None:
    """Tidy the working file, then publish it."""
    done = tidy(onelens.warehouse(), keep_days=onelens.settings().retention.superseded_days)
    context.log.info("%s pulls removed, %s bytes before, %s after", *dataclasses.astuple(done))
    if done.pulls_removed:
        onelens.warehouse().publish()


@dg.job(description="Keep the raw store small; history stays.")
def housekeeping_job() -> None:
    """Tidy the raw store."""
    tidy_raw_store()


def build_jobs() -> list[Any]:
    """Return every job."""
    return [
        housekeeping_job,
        dg.define_asset_job(
            "ingest_job",
            _RAW,
            description="Pull the run's days of every endpoint into the raw layer.",
        ),
        dg.define_asset_job(
            "marts_job",
            _AFTER_RAW,
            description="Build and check the models from what is in the raw layer, then replace the serving copy.",
        ),
        dg.define_asset_job(
            "revision_job",
            dg.AssetSelection.assets(*[[GROUP, endpoint.name] for endpoint in endpoints_of(Family.COST)]) | _AFTER_RAW,
            description="Pull the run's days of cost and usage again, then build, check and publish.",
        ),
        dg.define_asset_job(
            "retention_job",
            _RETENTION | _AFTER_RAW,
            description="Delete what is beyond the retention, then build, check and publish.",
        ),
        dg.define_asset_job(
            "erasure_job",
            _ERASURE | _AFTER_RAW,
            description="Erase what `forget` named, then build, check and publish.",
        ),
        dg.define_asset_job(
            "watch_job",
            dg.AssetSelection.assets(*WATCH_KEYS),
            description="Look at the running day of every organisation whose turn it is. It builds nothing: what was "
            "seen is in the views of the running day at once, in both database files.",
        ),
        dg.define_asset_job(
            "daily_job",
            _RAW | _RETENTION | _ERASURE | _AFTER_RAW,
            description="Pull what is due among the run's days, delete what is beyond the retention, erase what "
            "`forget` named and is still held, then build, check and publish.",
            config=raw_config(IngestConfig(only_due=True, raise_failures=False)),
        ),
    ]
