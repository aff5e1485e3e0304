"""The serving copy: what people and tools read, replaced as a whole after every successful build.

What is here: the one asset that publishes. What to add here: metadata of the copy.
What must not go here: how a file is replaced (`warehouse/files.py`).
"""

from collections.abc import Sequence

import dagster as dg

from onelens_claude.orchestration.assets.alerts import ALERTS_KEY
from onelens_claude.orchestration.assets.raw import OWNER, WRITER_POOL
from onelens_claude.orchestration.resources import Onelens

SERVING_KEY = dg.AssetKey(["serving", "onelens_serving"])


def build_serving_copy(marts: Sequence[dg.AssetKey]) -> dg.AssetsDefinition:
    """Return the asset that publishes once all `marts` are built, no blocking check failed, and alerts are told."""

    @dg.asset(
        key=SERVING_KEY,
        deps=[*marts, ALERTS_KEY],
        group_name="serving",
        kinds={"duckdb"},
        owners=[OWNER],
        description="Read-only copy of the warehouse, replaced atomically; readers of the old copy keep it.",
        pool=WRITER_POOL,
    )
    def onelens_serving(onelens: dg.ResourceParam[Onelens]) -> dg.MaterializeResult[None]:
        warehouse = onelens.warehouse()
        size = warehouse.publish()
        return dg.MaterializeResult(metadata={"path": dg.MetadataValue.path(warehouse.serving_path), "bytes": size})

    return onelens_serving
