"""The sensors."""

import datetime as dt
import json
import logging
from collections.abc import Iterator

import dagster as dg

from onelens_claude.assets.raw import IngestConfig
from onelens_claude.client import Window
from onelens_claude.clock import utc_now
from onelens_claude.endpoints import Family
from onelens_claude.errors import OnelensError
from onelens_claude.jobs import raw_config
from onelens_claude.landing import windows
from onelens_claude.ledger import endpoints_of
from onelens_claude.partitions import range_tags
from onelens_claude.resources import Onelens
from onelens_claude.revisions import revised_days

_log = logging.getLogger(__name__)
_PROBE_EVERY = dt.timedelta(hours=20)
_LONGEST_RUN = 31


def revised_windows(onelens: Onelens, organization_id: str) -> list[Window]:
    """Return the spans of days of one organisation that changed since they were pulled; empty when none did."""
    settings = onelens.settings()
    warehouse = onelens.warehouse()
    if not warehouse.serving_path.exists():
        return []
    client = onelens.client(settings.organization(organization_id))
    days = revised_days(warehouse, client, revision_days=settings.polling.revision_days)
    return windows(days, _LONGEST_RUN)


def revision_config(organization_id: str) -> dg.RunConfig:
    """Return run configuration that pulls the run's days of one organisation again."""
    config = IngestConfig(organizations=[organization_id], raise_failures=False)
    return raw_config(config, [endpoint.name for endpoint in endpoints_of(Family.COST)])


@dg.sensor(
    name="revised_days_sensor",
    job_name="revision_job",
    minimum_interval_seconds=3600,
    description="Once a day per organisation: which days of the last 30 does the API tell otherwise? "
    "Asks for a run of exactly these; four requests and no run when nothing changed.",
)
def revised_days_sensor(
    context: dg.SensorEvaluationContext, onelens: dg.ResourceParam[Onelens]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Probe the organisations that are due; the cursor keeps when each was probed last."""
    try:
        organizations = onelens.settings().organizations
    except OnelensError as error:
        yield dg.SkipReason(str(error))
        return
    probed = json.loads(context.cursor) if context.cursor else {}
    now = utc_now()
    requested = 0
    for organization in organizations:
        last = probed.get(organization.id)
        if last and now - dt.datetime.fromisoformat(last) < _PROBE_EVERY:
            continue
        try:
            found = revised_windows(onelens, organization.id)
        except OnelensError as error:
            _log.warning("%s", error)
            continue
        probed[organization.id] = now.isoformat()
        for window in found:
            requested += 1
            yield dg.RunRequest(
                run_key=_run_key(organization.id, window, now),
                run_config=revision_config(organization.id),
                tags=range_tags(window.start, window.days[-1]),
            )
    context.update_cursor(json.dumps(probed, sort_keys=True))
    if not requested:
        yield dg.SkipReason("No stored day changed.")


def _run_key(organization_id: str, window: Window, now: dt.datetime) -> str:
    return f"revised-{organization_id}-{window.start}-{window.days[-1]}-{now:%Y-%m-%dT%H:%M}"
