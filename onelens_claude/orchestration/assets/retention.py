"""Retention as an asset: the record of what was deleted for its age.

What is here: the asset. What to add here: metadata of it. What must not go here: what is deleted (`privacy`).
"""

import dagster as dg

from onelens_claude.alerts.log import AlertLog
from onelens_claude.landing.quarantine import Quarantine
from onelens_claude.orchestration.assets.raw import GROUP, OWNER, WRITER_POOL
from onelens_claude.orchestration.resources import Onelens
from onelens_claude.privacy.retention import delete_expired

RETENTION_KEY = dg.AssetKey([GROUP, "deletions"])
_LOG_SECONDS = 60.0


@dg.asset(
    key=RETENTION_KEY,
    group_name=GROUP,
    kinds={"duckdb"},
    owners=[OWNER],
    description="Deletes what is older than `retention.months` from raw pages, rows, ledger, models, quarantine and "
    "alert log, and records what went. The serving copy follows with the next publication.",
    pool=WRITER_POOL,
)
def deletions(context: dg.AssetExecutionContext, onelens: dg.ResourceParam[Onelens]) -> dg.MaterializeResult[None]:
    """Delete what has expired, under the writer lock."""
    settings = onelens.settings()
    first_kept = settings.first_kept_day
    if first_kept is None:
        return dg.MaterializeResult(metadata={"kept": "everything (retention.months is 0)"})
    gone = delete_expired(onelens.warehouse(), first_kept, run_id=context.run.run_id)
    refused = Quarantine.beside(onelens.warehouse()).forget_before(first_kept)
    log = AlertLog(settings.alerts_path)
    with log.exclusive(_LOG_SECONDS) as may_write:
        facts = log.forget_before(first_kept) if may_write else 0  # else the next run does
    for one in gone:
        context.log.info(
            "%s: %s from %s to before %s deleted: %s rows of %s pulls",
            one.organization_id,
            one.endpoint,
            one.first_day,
            first_kept,
            one.row_count,
            one.pull_count,
        )
    return dg.MaterializeResult(
        metadata={
            "kept from": str(first_kept),
            "rows": sum(one.row_count for one in gone),
            "alerts": facts,
            "refused answers": refused,
        }
    )
