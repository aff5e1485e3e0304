"""`backfill` and `daily`: pull, build, check, publish."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from onelens_claude.assets.raw import IngestConfig
from onelens_claude.cli.output import JSON_OPTION, note, print_json, print_table, usd
from onelens_claude.cli.runs import JobResult, run_job
from onelens_claude.clock import utc_now
from onelens_claude.endpoints import Family, first_available_day, newest_possible_day
from onelens_claude.errors import ApiError, SettingsError
from onelens_claude.jobs import raw_config
from onelens_claude.ledger import endpoints_of
from onelens_claude.partitions import range_tags
from onelens_claude.planning import plan_backfill
from onelens_claude.resources import Onelens
from onelens_claude.schedules import due_range
from onelens_claude.sensors import revised_windows, revision_config
from onelens_claude.settings import Settings, load_settings
from onelens_claude.status import all_statuses

if TYPE_CHECKING:
    from pathlib import Path

_VERBOSE = typer.Option(False, "--verbose", "-v", help="Log every step to stderr.")


def backfill(
    org: str | None = typer.Option(None, "--org", metavar="ID", help="Only this organisation."),
    first: str | None = typer.Option(None, "--from", metavar="DATE", help="First day, YYYY-MM-DD. [default: oldest]"),
    last: str | None = typer.Option(None, "--to", metavar="DATE", help="Last day, inclusive. [default: yesterday]"),
    plan: bool = typer.Option(False, "--plan", help="Only say what would be asked for."),
    as_json: bool = JSON_OPTION,
    verbose: bool = _VERBOSE,
) -> None:
    """Pull every endpoint over a range of days, then build the marts, check and publish.

    The default range is everything the API allows. A backfill that was interrupted goes on where it stopped.
    """
    settings = load_settings()
    organizations = [settings.organization(org).id] if org else []
    days = _range(first, last)
    if plan:
        _print_plan(settings, days, organizations, as_json=as_json)
        return
    result = run_backfill(settings, days, organizations, verbose=verbose)
    _finish(result, as_json=as_json)


def _print_plan(settings: Settings, days: tuple[dt.date, dt.date], organizations: list[str], *, as_json: bool) -> None:
    """Print requests, minutes and rows known so far per endpoint; ask nothing."""
    wanted = [one for one in settings.organizations if not organizations or one.id in organizations]
    warehouse = Onelens(settings).warehouse()
    rate = settings.polling.requests_per_minute
    if warehouse.serving_path.exists():
        with warehouse.reader() as connection:
            planned = plan_backfill(connection, wanted, settings.endpoints(), days, rate)
    else:
        planned = plan_backfill(None, wanted, settings.endpoints(), days, rate)
    if as_json:
        print_json({"from": days[0], "to": days[1], "plan": [asdict(one) for one in planned]})
        return
    columns = ["organisation", "endpoint", "windows", "requests", "rows known so far", "minutes"]
    rows = [
        (one.organization_id, one.endpoint, one.windows, one.requests, one.rows_known, one.minutes) for one in planned
    ]
    print_table(columns, rows, title=f"{days[0]} to {days[1]} at {rate} requests a minute and organisation")
    for organization in wanted:
        of_one = [one for one in planned if one.organization_id == organization.id]
        minutes = sum(one.minutes for one in of_one)
        note(f"{organization.id}: at least {sum(one.requests for one in of_one)} requests, about {minutes:.0f} minutes")


def daily(as_json: bool = JSON_OPTION, verbose: bool = _VERBOSE) -> None:
    """Do what the schedule does: pull new, missing and changed days, build the marts, check and publish."""
    settings = load_settings()
    warehouse = Onelens(settings).warehouse()
    with warehouse.writer() as connection:
        first, last = due_range(connection, settings)
    results = _pull_revised(settings, verbose=verbose)
    note(f"Pulling what is due from {first} to {last}.")
    results.append(run_job("daily_job", settings, tags=range_tags(first, last), config=DAILY_CONFIG, verbose=verbose))
    _finish(_outcome(settings, results), as_json=as_json)


def _pull_revised(settings: Settings, *, verbose: bool) -> list[JobResult]:
    """Pull the days again that the API tells otherwise now; `daily_job` builds the marts after it."""
    onelens = Onelens(settings)
    results = []
    for organization in settings.organizations:
        try:
            found = revised_windows(onelens, organization.id)
        except ApiError as error:
            note(f"Could not look for revised days: {error}")
            continue
        for window in found:
            note(f"{organization.id}: {window} changed since it was pulled; pulling it again.")
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


DAILY_CONFIG = raw_config(IngestConfig(only_due=True, raise_failures=False))


def run_backfill(
    settings: Settings, days: tuple[dt.date, dt.date], organizations: list[str], *, verbose: bool = False
) -> dict[str, Any]:
    """Run `ingest_job` over the days and `marts_job` after it; return what to print."""
    marker = Onelens(settings).warehouse().path.parent / "backfill.json"
    since = _begin(marker, days, organizations)
    config = IngestConfig(organizations=organizations, skip_pulled_since=since)
    note(f"Pulling {days[0]} to {days[1]}.")
    ingest = run_job("ingest_job", settings, tags=range_tags(*days), config=raw_config(config), verbose=verbose)
    note("Building and checking the marts.")
    marts = run_job("marts_job", settings, verbose=verbose)
    if ingest.success:
        marker.unlink(missing_ok=True)
    return _outcome(settings, [ingest, marts])


def _begin(marker: Path, days: tuple[dt.date, dt.date], organizations: list[str]) -> str | None:
    """Note that a backfill begins; return when it began if the same one was interrupted before."""
    this = {"from": str(days[0]), "to": str(days[1]), "organizations": organizations}
    try:
        interrupted = json.loads(marker.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        interrupted = {}
    if {**this, "began_at": interrupted.get("began_at")} == interrupted:
        note(f"Going on with the backfill that began at {interrupted['began_at']}.")
        return str(interrupted["began_at"])
    try:
        marker.parent.mkdir(parents=True, exist_ok=True)
        new = marker.with_suffix(".new")
        new.write_text(json.dumps({**this, "began_at": utc_now().isoformat()}), encoding="utf-8")
        new.replace(marker)
    except OSError as error:
        raise SettingsError(f"warehouse.path: {marker.parent}: cannot be written: {error.strerror}") from None
    return None


def tidy_up(as_json: bool = JSON_OPTION, verbose: bool = _VERBOSE) -> None:
    """Remove superseded pulls that changed nothing from the raw store and give their space back."""
    settings = load_settings()
    path = settings.warehouse_path
    before = path.stat().st_size if path.exists() else 0
    result = run_job("housekeeping_job", settings, verbose=verbose)
    after = path.stat().st_size if path.exists() else 0
    if as_json:
        print_json({"ok": result.success, "bytes_before": before, "bytes_after": after, "failures": result.failures})
    else:
        note(f"{path}: {before:,} bytes before, {after:,} bytes after.")
        for failure in result.failures:
            note(f"failure: {failure}")
    if not result.success:
        raise typer.Exit(1)


def _range(first: str | None, last: str | None) -> tuple[dt.date, dt.date]:
    now = utc_now()
    oldest, newest = first_available_day(now.date()), newest_possible_day(now, Family.COST)
    start = _date("--from", first) if first else oldest
    end = _date("--to", last) if last else newest
    if end > newest:
        raise SettingsError(f"--to {end}: that day is not over yet (UTC); the newest possible is {newest}")
    if start < oldest:
        raise SettingsError(f"--from {start}: the API holds nothing before {oldest}")
    if start > end:
        raise SettingsError(f"--from {start} is after --to {end}")
    return start, end


def _date(option: str, text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"{option} {text!r} is no date; write YYYY-MM-DD") from None


def _outcome(settings: Settings, results: list[JobResult]) -> dict[str, Any]:
    warehouse = Onelens(settings).warehouse()
    statuses, reconciliation = [], []
    if warehouse.serving_path.exists():
        with warehouse.reader() as connection:
            statuses = all_statuses(connection, settings, utc_now())
            reconciliation = reconciliation_lines(connection)
    failures = [failure for result in results for failure in result.failures]
    # Of several runs the last one decides on an error: it may have brought what an earlier one missed.
    newest = {name: check for result in results for name, check in result.checks.items()}
    failed = [f"{name}: {one.description}" for name, one in newest.items() if not one.passed and one.is_error]
    every = [item for result in results for item in result.checks.items()]
    warned = [f"{name}: {one.description}" for name, one in every if not one.passed and not one.is_error]
    return {
        "ok": all(result.success for result in results) and not failed,
        "runs": [result.run_id for result in results],
        "failures": failures,
        "failed_checks": failed,
        "warnings": warned,
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


def print_reconciliation(lines: list[dict[str, Any]]) -> None:
    """Print one line per organisation."""
    for line in lines:
        verdict = "exact" if line["adds_up"] and not line["days_not_exact"] else "NOT exact"
        note(
            f"{line['organization_id']}: {line['first_day']} to {line['last_day']}: total {usd(line['total_cents'])} "
            f"= users {usd(line['user_cents'])} + unattributed {usd(line['unattributed_cents'])}: {verdict}"
            + (f", {line['days_not_exact']} days to look at" if line["days_not_exact"] else "")
        )


def _finish(outcome: dict[str, Any], *, as_json: bool) -> None:
    """Print what came of it; exit 1 when something failed."""
    if as_json:
        print_json(outcome)
    else:
        print_reconciliation(outcome["reconciliation"])
        for kind in ("failures", "failed_checks", "warnings"):
            for line in outcome[kind]:
                note(f"{kind.replace('_', ' ').removesuffix('s')}: {line}")
        note("Done." if outcome["ok"] else "Not everything worked; `onelens-claude status` says what is missing.")
    if not outcome["ok"]:
        raise typer.Exit(1)
