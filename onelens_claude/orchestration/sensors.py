"""What follows when something happened: a run where days changed or were loaded alone, an alert for a person.

What is here: the sensors, their cursors and run keys. What to add here: another sensor.
What must not go here: finding out what changed (`ledger/revisions.py`), pulling it (`assets/raw.py`), telling it
(`alerts`).
"""

import datetime as dt
import json
import time
from collections.abc import Iterator

import dagster as dg

from onelens_claude.alerts.delivery import evaluate
from onelens_claude.alerts.facts import mart_facts, run_failure
from onelens_claude.alerts.sending import ATTEMPT_SECONDS
from onelens_claude.api.endpoints import ENDPOINTS, Family, endpoints_of
from onelens_claude.api.windows import Window
from onelens_claude.clock import utc_now
from onelens_claude.errors import OnelensError
from onelens_claude.ledger.held import held_days
from onelens_claude.ledger.revisions import revised_windows
from onelens_claude.orchestration.assets.alerts import check_facts
from onelens_claude.orchestration.assets.raw import GROUP, IngestConfig
from onelens_claude.orchestration.assets.serving import SERVING_KEY
from onelens_claude.orchestration.dead_runs import executes_still
from onelens_claude.orchestration.jobs import raw_config
from onelens_claude.orchestration.partitions import range_tags
from onelens_claude.orchestration.private_apis import BulkActionsFilter, BulkActionStatus
from onelens_claude.orchestration.resources import Onelens
from onelens_claude.watch.looking import turns_of

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


@dg.sensor(
    name="alerts_sensor",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells the channels of the settings what no run tells: data that is late, a key that grows old, what a "
    "channel did not take, what quiet hours held back. Runs tell what they find; nothing is told twice.",
)
def alerts_sensor(
    context: dg.SensorEvaluationContext, onelens: dg.ResourceParam[Onelens]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Evaluate what is there while no run changes it; what waits to be told is tried at any time."""
    try:
        settings = onelens.settings()
        if not settings.alerts:
            yield dg.SkipReason("The settings name no channel (alerts).")
            return
        facts = []
        if not context.instance.get_runs_count(dg.RunsFilter(statuses=_UNDER_WAY)):
            with onelens.warehouse().newest_reader() as connection:
                facts = mart_facts(connection, settings, utc_now()) if connection else []
        found = evaluate(settings, facts, seconds=_SECONDS_PER_TICK - ATTEMPT_SECONDS, lock_seconds=0)
    except OnelensError as error:
        yield dg.SkipReason(str(error))
        return
    yield dg.SkipReason(f"Alerts: {found.in_words()}")


@dg.run_failure_sensor(
    name="run_failure_sensor",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells the channels of the settings of each run that failed, with the checks that stopped it.",
)
def run_failure_sensor(context: dg.RunFailureSensorContext, onelens: dg.ResourceParam[Onelens]) -> dg.SkipReason:
    """Tell of one failed run; a command that tells of its own is no second message."""
    run = context.dagster_run
    try:
        facts = [
            run_failure(run.run_id, run.job_name, failure_message(context), utc_now()),
            *check_facts(context.instance, run.run_id),
        ]
        found = evaluate(onelens.settings(), facts, seconds=_SECONDS_PER_TICK - ATTEMPT_SECONDS)
    except OnelensError as error:
        return dg.SkipReason(str(error))
    return dg.SkipReason(f"Alerts: {found.in_words()}")


def failure_message(context: dg.RunFailureSensorContext) -> str:
    """Return what the failed steps said, else what the run said."""
    said = []
    for event in context.get_step_failure_events():
        data = event.step_failure_data
        error = data.error.cause or data.error if data.error else None
        told = data.user_failure_data.description if data.user_failure_data else None
        said.append(f"{event.step_key}: {told or (error.message if error else 'failed')}")
    return "; ".join(said) or context.failure_event.message or "no reason was given"


@dg.sensor(
    name="runaway_sensor",
    job_name="watch_job",
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Looks at the running day every `watch.hours` of the settings, which switch it on (0 is off), and "
    "every 15 minutes while a day is above its band. At most 3 requests an hour per organisation, then 12.",
)
def runaway_sensor(
    context: dg.SensorEvaluationContext, onelens: dg.ResourceParam[Onelens]
) -> dg.RunRequest | dg.SkipReason:
    """Ask for a look when it is an organisation's turn; the look itself takes the turn, so that nobody looks twice."""
    try:
        settings = onelens.settings()
        if not settings.watch.hours:
            return dg.SkipReason("watch.hours is 0 in the settings: nobody looks at the running day.")
        next_at = min(turns_of(settings, one).next_at() for one in settings.organizations)
    except OnelensError as error:
        return dg.SkipReason(str(error))
    now = utc_now()
    if next_at > now:
        return dg.SkipReason(f"The next look is at {next_at:%Y-%m-%d %H:%M} UTC.")
    if context.instance.get_runs_count(dg.RunsFilter(job_name="watch_job", statuses=_UNDER_WAY)):
        return dg.SkipReason("A look is under way.")
    return dg.RunRequest(run_key=f"watch-{now:%Y%m%dT%H%M}")


SENSORS = (revised_days_sensor, stale_marts_sensor, runaway_sensor, alerts_sensor, run_failure_sensor)
