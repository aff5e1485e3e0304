"""The jobs: raw pulls, everything after them, and both."""

from __future__ import annotations

import dagster as dg

from onelens_claude.assets.raw import GROUP, IngestConfig
from onelens_claude.endpoints import ENDPOINTS, Family
from onelens_claude.ledger import endpoints_of
from onelens_claude.partitions import daily_partitions

_RAW = dg.AssetSelection.groups(GROUP)
_AFTER_RAW = dg.AssetSelection.groups("staging", "intermediate", "marts", "serving")


def raw_config(config: IngestConfig, endpoints: list[str] | None = None) -> dg.RunConfig:
    """Return run configuration that gives `config` to every raw asset, or to `endpoints`."""
    return dg.RunConfig(ops={f"{GROUP}__{name}": config for name in endpoints or ENDPOINTS})


def build_jobs() -> list[dg.UnresolvedAssetJobDefinition]:
    """Return `ingest_job`, `marts_job`, `revision_job` and `daily_job`."""
    return [
        dg.define_asset_job(
            "ingest_job",
            _RAW,
            description="Pull the run's days of every endpoint into the raw layer.",
            partitions_def=daily_partitions(),
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
            partitions_def=daily_partitions(),
        ),
        dg.define_asset_job(
            "daily_job",
            _RAW | _AFTER_RAW,
            description="Pull what is due among the run's days, then build, check and publish.",
            partitions_def=daily_partitions(),
            config=raw_config(IngestConfig(only_due=True, raise_failures=False)),
        ),
    ]
