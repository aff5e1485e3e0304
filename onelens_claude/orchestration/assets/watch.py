"""The tables of what was seen of the running day, and the run that looks.

What is here: how a look becomes a run, and its outcomes the metadata of its events. What to add here: more metadata.
What must not go here: what a look asks and keeps (`watch`).
"""

from collections.abc import Iterator

import dagster as dg
from pydantic import Field

from onelens_claude.orchestration.assets.alerts import tell_runaways
from onelens_claude.orchestration.assets.raw import GROUP, OWNER
from onelens_claude.orchestration.resources import Onelens
from onelens_claude.watch.looking import look_at_today

WATCH_KEYS = {
    dg.AssetKey([GROUP, "watch_looks"]): "Each look at an organisation's running day, complete or failed; no pull.",
    dg.AssetKey([GROUP, "watch_amounts"]): "What a look saw: cost of hours, users, products and models.",
    dg.AssetKey([GROUP, "watch_pages"]): "The answers of each look, verbatim.",
}


class WatchConfig(dg.Config):
    """Run configuration of a look."""

    organizations: list[str] = Field(default=[])
    """Look at these alone; empty means every organisation in the settings."""


# No pool: a backfill holds its slot for hours, and a runaway would be told too late. The writer's lock, which is held
# while something is appended, keeps writers apart.
@dg.multi_asset(
    name="watch",
    specs=[
        dg.AssetSpec(key, group_name=GROUP, kinds={"duckdb", "python"}, owners=[OWNER], description=description)
        for key, description in WATCH_KEYS.items()
    ],
)
def watch_tables(
    context: dg.AssetExecutionContext, config: WatchConfig, onelens: dg.ResourceParam[Onelens]
) -> Iterator[dg.MaterializeResult[None]]:
    """Look at the running day of every organisation whose turn it is; a refused one is told, and fails no run."""
    settings = onelens.settings()
    chosen = [settings.organization(one) for one in config.organizations]
    outcomes = look_at_today(
        settings,
        onelens.warehouse(),
        onelens.watching_client,
        organizations=chosen or settings.organizations,
        run_id=context.run.run_id,
    )
    for one in outcomes:
        if one.error:
            context.log.error("%s", one.error)
    alerts = _told(context, onelens)
    seen = {one.organization_id: one.in_words() for one in outcomes}
    for key in WATCH_KEYS:
        yield dg.MaterializeResult(asset_key=key, metadata={**seen, "alerts": alerts})


def _told(context: dg.AssetExecutionContext, onelens: Onelens) -> str:
    """Tell the channels who runs away, at once; what cannot be told now is told by the next look or build."""
    try:
        alerts = tell_runaways(onelens).in_words()
    except Exception as error:  # noqa: BLE001 - what was seen is kept whatever becomes of its alerts
        context.log.warning("Alerts could not be evaluated: %s", error)
        return str(error)
    context.log.info("Alerts: %s", alerts)
    return alerts
