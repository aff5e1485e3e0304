"""What `backfill` and `daily` do: run the jobs, then report what was loaded and what is still missing."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from onelens_claude.alerts.delivery import evaluate
from onelens_claude.alerts.facts import failed_check, run_failure
from onelens_claude.api.endpoints import Family, endpoints_of
from onelens_claude.cli.output import note
from onelens_claude.cli.ranges import backfill_plan, backfill_range, in_words, organizations_of
from onelens_claude.cli.runs import JobResult, run_job
from onelens_claude.clock import utc_now
from onelens_claude.errors import ApiError, DamagedCopyError, OnelensError
from onelens_claude.ledger.backfills import begin, finish
from onelens_claude.ledger.due import due_range
from onelens_claude.ledger.revisions import revised_windows
from onelens_claude.ledger.status import Missing, all_statuses, missing_days
from onelens_claude.orchestration.assets.alerts import ANOMALY_CHECK, BUDGET_CHECK, COMPLETENESS_CHECK, TOLD_OTHERWISE
from onelens_claude.orchestration.assets.raw import IngestConfig
from onelens_claude.orchestration.jobs import raw_config
from onelens_claude.orchestration.partitions import range_tags
from onelens_claude.orchestration.resources import Onelens
from onelens_claude.orchestration.sensors import revision_config
from onelens_claude.warehouse.files import Warehouse

if TYPE_CHECKING:
    import datetime as dt

    from onelens_claude.ledger.planning import PlannedEndpoint
    from onelens_claude.settings import Settings

DAILY_CONFIG = raw_config(IngestConfig(only_due=True, raise_failures=False))
_GATES = (f" {BUDGET_CHECK}", f" {ANOMALY_CHECK}")
"""Checks of what people spend, not of the data: the work did not fail. `--fail-on` makes them an exit code."""


def run_backfill(
    settings: Settings, first: str | None, last: str | None, org: str | None, *, verbose: bool = False
) -> dict[str, Any]:
    """Run `ingest_job` over the days and `marts_job` after it; return what to print."""
    days = backfill_range(settings, first, last, org)
    folder = settings.warehouse_path.parent
    backfill, goes_on = begin(folder, first, last, org)
    since = backfill.began_at if goes_on else None
    if goes_on:
        note(f"Continuing the backfill that began at {backfill.began_at.isoformat()}.")
    planned = backfill_plan(settings, days, org, pulled_since=since)
    note(f"Pulling {days[0]} to {days[1]}: {in_words(planned)}.")
    config = IngestConfig(organizations=[org] if org else [], skip_pulled_since=since.isoformat() if since else None)
    ingest = run_job(
        "ingest_job",
        settings,
        tags=range_tags(*days),
        config=raw_config(config),
        # Optional endpoints that are switched off are left out: each would plan an event per day.
        assets=[f"claude_raw/{endpoint.name}" for endpoint in settings.endpoints()],
        planned=_by_endpoint(planned),
        verbose=verbose,
    )
    note("Building and checking the marts.")
    marts = run_job("marts_job", settings, verbose=verbose)
    missing = _missing(settings, days, org, backfill.began_at)
    if ingest.success and marts.success and not missing:  # else the same command goes on, if only with the build
        finish(folder, backfill)
    outcome = _outcome(settings, [ingest, marts])
    # Days outside the range may be incomplete without this backfill having failed.
    failed_checks = [one for one in outcome["failed_checks"] if COMPLETENESS_CHECK not in one]
    if failed_checks != outcome["failed_checks"] and not missing:
        outcome["warnings"].append("other days or organisations are incomplete; `onelens-claude status` lists them")
    outcome["failed_checks"] = failed_checks
    outcome["missing"] = [one.in_words() for one in missing]
    outcome["ok"] = ingest.success and marts.success and not (missing or outcome["failed_checks"])
    outcome["next"] = (
        f"What is loaded stays. Run `{backfill.command}` again: it requests only what is missing."
        if missing
        else "Not everything worked; fix the errors above, then run the same command again."
    )
    return outcome


def _by_endpoint(planned: list[PlannedEndpoint]) -> dict[str, int]:
    requests: Counter[str] = Counter()
    for one in planned:
        requests[one.endpoint] += one.requests
    return dict(requests)


def _missing(settings: Settings, days: tuple[dt.date, dt.date], org: str | None, since: dt.datetime) -> list[Missing]:
    with Warehouse.of(settings).newest_reader() as connection:
        if connection is None:
            return []
        found = [
            missing_days(connection, organization, endpoint, days, since=since, now=utc_now())
            for organization in organizations_of(settings, org)
            for endpoint in settings.endpoints()
        ]
    return [one for one in found if one]


def run_daily(settings: Settings, *, verbose: bool = False) -> dict[str, Any]:
    """Pull revised days, then run `daily_job` over what is due; return what to print."""
    with Warehouse.of(settings).working_reader() as connection:
        first, last = due_range(connection, settings)
    results = _pull_revised(settings, verbose=verbose)
    note(f"Pulling what is due from {first} to {last}.")
    results.append(run_job("daily_job", settings, tags=range_tags(first, last), config=DAILY_CONFIG, verbose=verbose))
    return _outcome(settings, results)


def _pull_revised(settings: Settings, *, verbose: bool) -> list[JobResult]:
    """Pull the days that the API has revised again; `daily_job` builds the marts afterwards."""
    onelens = Onelens(settings)
    results = []
    for organization in settings.organizations:
        try:
            found = revised_windows(
                onelens.warehouse(), onelens.client(organization), revision_days=settings.polling.revision_days
            )
        except ApiError as error:
            note(f"Could not check for revised days: {error}")
            continue
        for window in found:
            note(f"{organization.id}: {window} has changed since it was pulled; pulling it again.")
            results.append(
                run_job(
                    "ingest_job",
                    settings,
                    tags=range_tags(window.start, window.days[-1]),
                    config=revision_config(organization.id),
                    assets=[f"claude_raw/{endpoint.name}" for endpoint in endpoints_of(Family.COST)],
                    verbose=verbose,
                )
            )
    return results


def _tell_of_failures(settings: Settings, results: list[JobResult]) -> None:
    """Tell the channels of runs that failed, which could not tell themselves; the daemon may have done so already."""
    now = utc_now()
    facts = []
    for result in results:
        if not result.success:
            facts.append(run_failure(result.run_id, result.job, "; ".join(result.failures), now))
            facts += [
                failed_check(
                    *name.split(" ", 1), passed=False, is_error=True, description=one.description, on=now.date()
                )
                for name, one in result.checks.items()
                if not one.passed and one.is_error and name.split(" ", 1)[1] not in TOLD_OTHERWISE
            ]
    if facts:
        try:
            for problem in evaluate(settings, facts).problems:
                note(f"alert: {problem}")
        except OnelensError as error:
            note(f"alert: {error}")


def _outcome(settings: Settings, results: list[JobResult]) -> dict[str, Any]:
    _tell_of_failures(settings, results)
    warehouse = Warehouse.of(settings)
    statuses, reconciliation = [], []
    failures = [failure for result in results for failure in result.failures]
    try:
        if warehouse.serving_path.exists():
            with warehouse.reader() as connection:
                statuses = all_statuses(connection, settings, utc_now())
                reconciliation = reconciliation_lines(connection)
    except DamagedCopyError as error:
        failures.append(str(error))
    # Of several runs, the last one decides about an error: it may have loaded what an earlier one missed.
    newest = {name: check for result in results for name, check in result.checks.items()}
    is_failure = {name: one.is_error and not name.endswith(_GATES) for name, one in newest.items()}
    failed = [f"{name}: {one.description}" for name, one in newest.items() if not one.passed and is_failure[name]]
    every = [item for result in results for item in result.checks.items()]
    warned = [f"{n}: {one.description}" for n, one in every if not one.passed and not (one.is_error and is_failure[n])]
    return {
        "ok": all(result.success for result in results) and not failed,
        "runs": [result.run_id for result in results],
        "missing": [],
        "failures": failures,
        "failed_checks": failed,
        "warnings": warned,
        "next": "Not everything worked; the next `daily` requests what is missing (see `onelens-claude status`).",
        "status": [asdict(status) for status in statuses],
        "reconciliation": reconciliation,
    }


def reconciliation_lines(connection: Any) -> list[dict[str, Any]]:
    """Return per organisation: total, users, unattributed, and whether they add up on every day."""
    rows = connection.execute(
        """select organization_id, min(activity_date), max(activity_date), count(*), sum(total_cents),
            sum(user_cents), sum(unattributed_cents), count(*) filter (status <> 'exact'),
            sum(total_cents) = sum(user_cents) + sum(unattributed_cents)
        from marts.cost_reconciliation
        group by organization_id
        order by organization_id"""
    ).fetchall()
    names = (
        "organization_id",
        "first_day",
        "last_day",
        "days",
        "total_cents",
        "user_cents",
        "unattributed_cents",
        "days_not_exact",
        "adds_up",
    )
    return [dict(zip(names, row, strict=True)) for row in rows]
