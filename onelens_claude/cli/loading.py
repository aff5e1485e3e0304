"""`backfill`, `daily` and `tidy`: their options and their output. The work is done in `pulling.py`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from onelens_claude.cli.gates import EXIT_BREACHED, FAIL_ON_OPTION, breaches, gates
from onelens_claude.cli.options import ORG_OPTION
from onelens_claude.cli.output import JSON_OPTION, note, print_json, print_reconciliation, print_table
from onelens_claude.clock import utc_now
from onelens_claude.errors import WarehouseError
from onelens_claude.settings import load_settings

if TYPE_CHECKING:
    from onelens_claude.settings import Settings

_NOT_LOADED = " days did not load: "
"""How a raw asset's failure begins."""
_VERBOSE = typer.Option(False, "--verbose", "-v", help="Log every step to stderr.")


def backfill(
    org: str | None = ORG_OPTION,
    first: str | None = typer.Option(None, "--from", metavar="DATE", help="First day, YYYY-MM-DD. [default: oldest]"),
    last: str | None = typer.Option(None, "--to", metavar="DATE", help="Last day, inclusive. [default: yesterday]"),
    plan: bool = typer.Option(False, "--plan", help="Only show which requests would be made."),
    fail_on: str | None = FAIL_ON_OPTION,
    as_json: bool = JSON_OPTION,
    verbose: bool = _VERBOSE,
) -> None:
    """Pull every endpoint over a range of days, then build the marts, check and publish.

    The default range is everything the API allows. If a backfill was interrupted, or the API refused
    part of it, running the same command again loads what is missing.
    """
    wanted, began = gates(fail_on), utc_now()
    settings = load_settings(needs_keys=not plan)
    if plan:
        _print_plan(settings, first, last, org, as_json=as_json)
        return
    from onelens_claude.cli.pulling import run_backfill

    outcome = run_backfill(settings, first, last, org, verbose=verbose)
    _finish({**outcome, "breaches": breaches(settings, wanted, began)}, as_json=as_json)


def _print_plan(settings: Settings, first: str | None, last: str | None, org: str | None, *, as_json: bool) -> None:
    """Print requests, minutes and rows known so far per endpoint, without making a request."""
    from onelens_claude.cli.ranges import backfill_plan, backfill_range, in_words, interrupted

    days = backfill_range(settings, first, last, org)
    before = interrupted(settings, first, last, org)
    planned = backfill_plan(settings, days, org, pulled_since=before.began_at if before else None)
    if as_json:
        print_json({"from": days[0], "to": days[1], "plan": [asdict(one) for one in planned]})
        return
    if before:
        note(f"What is left of the backfill that began at {before.began_at:%Y-%m-%d %H:%M} UTC:")
    columns = ["organisation", "endpoint", "windows", "requests", "rows known so far", "minutes"]
    rows = [
        (
            one.organization_id,
            one.endpoint,
            one.windows,
            f"{'' if one.is_exact else 'at least '}{one.requests}",
            one.rows_known,
            one.minutes,
        )
        for one in planned
    ]
    rate = settings.polling.requests_per_minute
    print_table(columns, rows, title=f"{days[0]} to {days[1]} at {rate} requests a minute per organisation")
    for organization in dict.fromkeys(one.organization_id for one in planned):
        of_one = [one for one in planned if one.organization_id == organization]
        note(f"{organization}: {in_words(of_one)}")


def daily(fail_on: str | None = FAIL_ON_OPTION, as_json: bool = JSON_OPTION, verbose: bool = _VERBOSE) -> None:
    """Do what the schedule does: pull new, missing and changed days, build the marts, check and publish."""
    wanted, began = gates(fail_on), utc_now()
    settings = load_settings()
    from onelens_claude.cli.pulling import run_daily

    outcome = run_daily(settings, verbose=verbose)
    _finish({**outcome, "breaches": breaches(settings, wanted, began)}, as_json=as_json)


def tidy_up(
    dry_run: bool = typer.Option(False, "--dry-run", help="Only show what would be deleted."),
    as_json: bool = JSON_OPTION,
    verbose: bool = _VERBOSE,
) -> None:
    """Delete days beyond `retention.months` and superseded pulls that changed nothing; give their space back."""
    settings = load_settings(needs_keys=False)
    path = settings.warehouse_path
    if not (path.exists() or settings.serving_path.exists()):
        raise WarehouseError(f"{path}: there is nothing to tidy yet; run a backfill first")
    if dry_run:
        _print_deletions(settings, as_json=as_json)
        return
    from onelens_claude.cli.runs import run_job
    from onelens_claude.privacy.retention import expired
    from onelens_claude.warehouse.files import Warehouse

    before = path.stat().st_size if path.exists() else 0
    jobs = ["housekeeping_job"]
    with Warehouse.of(settings).working_reader() as connection:
        if settings.first_kept_day and expired(connection, settings.first_kept_day):
            jobs.insert(0, "retention_job")
    results = [run_job(job, settings, verbose=verbose) for job in jobs]
    success, failures = all(one.success for one in results), [line for one in results for line in one.failures]
    after = path.stat().st_size if path.exists() else 0
    if as_json:
        print_json({"ok": success, "bytes_before": before, "bytes_after": after, "failures": failures})
    else:
        note(f"{path}: {before:,} bytes before, {after:,} bytes after.")
        for failure in failures:
            note(f"failure: {failure}")
    if not success:
        raise typer.Exit(1)


def _print_deletions(settings: Settings, *, as_json: bool) -> None:
    """Print what `tidy` would delete, per organisation and endpoint."""
    from onelens_claude.privacy.retention import expired
    from onelens_claude.warehouse.files import Warehouse
    from onelens_claude.warehouse.housekeeping import superseded_pulls

    first_kept = settings.first_kept_day
    with Warehouse.of(settings).working_reader() as connection:
        old = expired(connection, first_kept) if first_kept else []
        superseded = superseded_pulls(connection, settings.retention.superseded_days)
    if as_json:
        print_json({"kept_from": first_kept, "expired": [asdict(one) for one in old], "superseded_pulls": superseded})
        return
    if not first_kept:
        note("retention.months is 0: every day is kept.")
    elif not old:
        note(f"Nothing is held from before {first_kept}, the oldest day that retention.months keeps.")
    else:
        print_table(
            ["organisation", "endpoint", "from", "pulls", "rows"],
            [(one.organization_id, one.endpoint, one.first_day, one.pull_count, one.row_count) for one in old],
            title=f"Days before {first_kept}, which retention.months no longer keeps",
        )
    note(f"Superseded pulls that changed nothing: {superseded}.")


def _finish(outcome: dict[str, Any], *, as_json: bool) -> None:
    """Print the outcome; exit 1 if anything failed, else 4 if a gate is breached."""
    if as_json:
        print_json(outcome)
    else:
        print_reconciliation(outcome["reconciliation"])
        for kind in ("missing", "failures", "failed_checks", "warnings"):
            for line in outcome[kind]:
                if kind == "failures" and outcome["missing"] and _NOT_LOADED in line:
                    continue  # `missing` lists them by range of days
                note(f"{kind.replace('_', ' ').removesuffix('s')}: {line}")
        for line in outcome["breaches"]:
            note(f"breach: {line}")
        note("Done." if outcome["ok"] else outcome["next"])
    if not outcome["ok"]:
        raise typer.Exit(1)
    if outcome["breaches"]:
        raise typer.Exit(EXIT_BREACHED)
