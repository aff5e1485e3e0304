"""What starts a run because something happened: the API reports stored days differently, or raw days were loaded alone.

What is here: the sensors, their cursors and run keys. What to add here: another sensor.
What must not go here: finding out what changed (`ledger/revisions.py`), pulling it (`assets/raw.py`).
"""

import datetime as dt
import json
import time
from collections.abc import Iterator

import dagster as dg

from onelens_claude.api.endpoints import ENDPOINTS, Family, endpoints_of
from onelens_claude.api.windows import Window
from onelens_claude.clock import utc_now
from onelens_claude.errors import OnelensError
from onelens_claude.ledger.held import held_days
from onelens_claude.ledger.revisions import revised_windows
from onelens_claude.orchestration.assets.raw import GROUP, IngestConfig
from onelens_claude.orchestration.assets.serving import SERVING_KEY
from onelens_claude.orchestration.dead_runs import executes_still
from onelens_claude.orchestration.jobs import raw_config
from onelens_claude.orchestration.partitions import range_tags
from onelens_claude.orchestration.private_apis import BulkActionsFilter, BulkActionStatus
from onelens_claude.orchestration.resources import Onelens

_PROBE_EVERY = dt.timedelta(hours=20)
_SECONDS_PER_TICK = 40.0
"""The daemon gives up on an evaluation after 60 s; a backfill may hold up the probes, which share its rate limit."""


def revision_config(organization_id: str) -> dg.RunConfig:
    """Return run configuration that pulls the run's days of one organisation again."""
    config = IngestConfig(organizations=[organization_id], raise_failures=False)
    return raw_config(config, [endpoint.name for endpoint in endpoints_of(Family.COST)])


@dg.sensor(
    name="revised_days_sensor",
    job_name="revision_job",
    minimum_interval_seconds=900,
    description="Once a day per organisation: finds which of the last 30 days the API now reports differently and "
    "requests a run of exactly these; no run when nothing changed. "
    "Four requests, and one per thousand users for the week in turn.",
)
def revised_days_sensor(
    context: dg.SensorEvaluationContext, onelens: dg.ResourceParam[Onelens]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Probe the organisations that are due; the cursor keeps when each was probed last."""
    try:
        settings = onelens.settings()
    except OnelensError as error:
        yield dg.SkipReason(str(error))
        return
    probed = json.loads(context.cursor) if context.cursor else {}
    now = utc_now()
    deadline = time.monotonic() + _SECONDS_PER_TICK
    requested, skipped = 0, ["No stored day changed."]
    for organization in settings.organizations:
        last = probed.get(organization.id)
        if last and now - dt.datetime.fromisoformat(last) < _PROBE_EVERY:
            continue
        if time.monotonic() >= deadline:
            break  # the others are still due in the next evaluation
        try:
            found = revised_windows(
                onelens.warehouse(),
                onelens.client(organization),
                revision_days=settings.polling.revision_days,
                seconds=deadline - time.monotonic(),
            )
        except OnelensError as error:
            context.log.warning("%s", error)
            skipped = [str(error), *skipped[:-1]]
            continue
        probed[organization.id] = now.isoformat()
        for window in found:
            requested += 1
            yield dg.RunRequest(
                run_key=_run_key(onelens, organization.id, window, now),
                run_config=revision_config(organization.id),
                tags=range_tags(window.start, window.days[-1]),
            )
    context.update_cursor(json.dumps(probed, sort_keys=True))
    if not requested:
        yield dg.SkipReason("\n".join(skipped))


def _run_key(onelens: Onelens, organization_id: str, window: Window, now: dt.datetime) -> str:
    """Return a key that is the same until the days were pulled again, or another day has come.

    So an evaluation that is repeated, because it crashed before its cursor was kept or because the run has not ended,
    asks for no second run; and a run that failed is asked for again the next day.
    """
    with onelens.warehouse().reader() as connection:
        held = held_days(
            connection, organization_id, ENDPOINTS["cost_report"], window.start, window.end - dt.timedelta(days=1)
        )
    pulled = max(pull.fetched_at for pull in held.values())
    return f"revised-{organization_id}-{window.start}-{window.days[-1]}-{pulled:%Y%m%dT%H%M%S}-{now:%Y-%m-%d}"


@dg.sensor(
    name="stale_marts_sensor",
    job_name="marts_job",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Builds and publishes the marts once after raw days were loaded without them, for instance when a "
    "range was materialised in the UI. It waits until no run and no backfill is under way; runs that build the marts "
    "themselves are followed by none.",
)
def stale_marts_sensor(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Ask for one build when the newest raw day is newer than the fact that is built from it, or than the copy."""
    instance = context.instance
    raw = max((_newest(instance, dg.AssetKey([GROUP, name])) for name in ENDPOINTS), key=lambda one: one[0])
    loaded_at, run_id = raw
    if loaded_at <= min(_newest(instance, _LAST_FACT)[0], _newest(instance, SERVING_KEY)[0]):
        return dg.SkipReason("The marts are built from every raw day that was loaded.")
    if instance.get_runs_count(dg.RunsFilter(statuses=_UNDER_WAY)) or instance.get_backfills(
        filters=BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED]), limit=1
    ):
        return dg.SkipReason("Raw days were loaded; the marts are built when no run is under way.")
    loader = instance.get_run_by_id(run_id)
    if loader and executes_still(loader):
        return dg.SkipReason(f"The command that loaded raw days in run {run_id} builds the marts itself.")
    return dg.RunRequest(run_key=f"marts-{loaded_at}-{utc_now().date()}")  # a build that failed is tried again daily


_LAST_FACT = dg.AssetKey(["marts", "fct_claude_costs"])
_UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def _newest(instance: dg.DagsterInstance, key: dg.AssetKey) -> tuple[int, str]:
    """Return the place in the event log of the newest materialisation, and its run; 0 where there is none."""
    records = instance.fetch_materializations(key, limit=1).records
    return (records[0].storage_id, records[0].run_id) if records else (0, "")


SENSORS = (revised_days_sensor, stale_marts_sensor)
