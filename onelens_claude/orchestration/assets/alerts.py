"""Alerts as a step of every run that builds: what there is to tell is told before the copy is replaced.

So the copy shows what was sent. A channel that is down, a damaged log or a mistake of ours never keeps data from being
published: it is a warning of the run and part of this asset's metadata.

What is here: the asset, and the evaluation that commands and sensors share. What to add here: facts of Dagster's own.
What must not go here: facts of the marts, and how they are told (`alerts`).
"""

from collections.abc import Iterable, Sequence

import dagster as dg

from onelens_claude.alerts.delivery import Evaluation, evaluate
from onelens_claude.alerts.fact import Fact
from onelens_claude.alerts.facts import failed_check, mart_facts, runaway_facts
from onelens_claude.alerts.log import AlertLog, show
from onelens_claude.clock import utc_now
from onelens_claude.orchestration.assets.raw import OWNER, WRITER_POOL
from onelens_claude.orchestration.resources import Onelens

ALERTS_KEY = dg.AssetKey(["serving", "alerts"])
BUDGET_CHECK = "budgets_are_kept"
ANOMALY_CHECK = "no_incident_is_open"
COMPLETENESS_CHECK = "every_organization_is_complete"
TOLD_OTHERWISE = {BUDGET_CHECK, ANOMALY_CHECK, COMPLETENESS_CHECK}
"""Checks whose findings are facts of their own, with an organisation."""


def build_alerts(marts: Sequence[dg.AssetKey]) -> dg.AssetsDefinition:
    """Return the asset that tells the channels once all `marts` are built."""

    @dg.asset(
        key=ALERTS_KEY,
        deps=list(marts),
        group_name="serving",
        kinds={"python"},
        owners=[OWNER],
        description="Tells the channels of the settings what is new in the marts, once; `marts.alert_log` has what was "
        "told. It never fails: what cannot be told now is told by the next evaluation.",
        pool=WRITER_POOL,
        op_tags={"dagster/priority": "-1"},  # after the checks, whose results are facts too
    )
    def alerts(context: dg.AssetExecutionContext, onelens: dg.ResourceParam[Onelens]) -> dg.MaterializeResult[None]:
        try:
            found = tell(onelens, check_facts(context.instance, context.run.run_id))
            with onelens.warehouse().writer() as connection:
                show(connection, AlertLog(onelens.settings().alerts_path).rows())
        except Exception as error:  # noqa: BLE001 - an alert that cannot be told must not keep data back
            context.log.warning("Alerts could not be evaluated: %s", error)
            return dg.MaterializeResult(metadata={"problems": str(error)})
        context.log.info("Alerts: %s", found.in_words())
        return dg.MaterializeResult(
            metadata={
                "new": found.new,
                "sent": ", ".join(f"{channel}: {count}" for channel, count in found.sent.items()),
                "problems": "; ".join(found.problems),
            }
        )

    return alerts


def tell(onelens: Onelens, facts: Iterable[Fact] = ()) -> Evaluation:
    """Evaluate what the working file says now, and `facts` of the caller's."""
    settings = onelens.settings()
    with onelens.warehouse().working_reader() as connection:
        found = mart_facts(connection, settings, utc_now())
    return evaluate(settings, [*found, *facts])  # nobody waits for the file while messages are on their way


def tell_runaways(onelens: Onelens) -> Evaluation:
    """Evaluate what a look at the running day found."""
    settings = onelens.settings()
    with onelens.warehouse().working_reader() as connection:
        found = runaway_facts(connection, settings, utc_now())
    return evaluate(settings, found)


def check_facts(instance: dg.DagsterInstance, run_id: str) -> list[Fact]:
    """Return what a run's checks found, each as a condition: it holds while the check does not pass."""
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION).records
    events = [record.event_log_entry.get_dagster_event() for record in records]
    found = [event.asset_check_evaluation_data for event in events]
    return [
        failed_check(
            one.asset_key.to_user_string(),
            one.check_name,
            passed=one.passed,
            is_error=one.severity is dg.AssetCheckSeverity.ERROR,
            description=one.description or "",
            on=utc_now().date(),
        )
        for one in found
        if one.check_name not in TOLD_OTHERWISE
    ]
