"""`status`: what each organisation holds, one line for each, and details where something is wrong.

What is here: how the states of `ledger/status.py` are summed up and shown. What must not go here: deciding on a state.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from onelens_claude.alerts.fact import dollars
from onelens_claude.alerts.key_ages import KeyStatus, key_statuses, key_warnings
from onelens_claude.alerts.log import AlertLog
from onelens_claude.alerts.standing import BUDGETS, OPEN_INCIDENTS
from onelens_claude.api.endpoints import ENDPOINTS, Family
from onelens_claude.cli.output import JSON_OPTION, note, print_json, print_table, stdout
from onelens_claude.clock import utc_now
from onelens_claude.ledger.backfills import unfinished
from onelens_claude.ledger.status import EndpointStatus, all_statuses, disconnected_statuses, in_spans, without_place
from onelens_claude.settings import load_settings
from onelens_claude.states import EndpointState
from onelens_claude.visible import visible
from onelens_claude.warehouse.connections import dicts
from onelens_claude.warehouse.files import Warehouse

if TYPE_CHECKING:
    import datetime as dt

    import duckdb

    from onelens_claude.settings import Settings


def status(
    every: bool = typer.Option(False, "--all", "-a", help="Show every endpoint, not only where something is wrong."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Show per organisation up to which day it is complete, when it was pulled last, and what is wrong.

    Gaps, failures and refusals are listed per endpoint, with their reasons. --all shows every endpoint, and how
    many of its days can still change; so does --json.
    """
    settings = load_settings(needs_keys=False)
    begun = unfinished(settings.warehouse_path.parent)
    with Warehouse.of(settings).newest_reader() as connection:
        found = _statuses(connection, settings)
        budgets = _rows_of(connection, "budget_status", BUDGETS)
        incidents = _rows_of(connection, "cost_anomalies", OPEN_INCIDENTS)
    log = AlertLog(settings.alerts_path)
    down = log.down()
    keys = list(key_statuses(settings, log.keys(), utc_now()))
    warnings = key_warnings(settings.organizations)
    if as_json:
        unfinished_backfills = [{**asdict(one), "command": one.command} for one in begun]
        print_json(
            {
                "status": [asdict(one) for one in found],
                "unfinished_backfills": unfinished_backfills,
                "budgets": budgets,
                "open_anomalies": incidents,
                "channels_down": [asdict(one) for one in down],
                "keys": [asdict(one) for one in keys],
                "warnings": warnings,
            }
        )
        return
    if found:
        (_print_endpoints if every else _print_summary)(found)
    _print_budgets(budgets if every else [one for one in budgets if one["status"] != "ok"])
    for incident in incidents:
        line = f"{incident['organization_id']}: open since {incident['since']}: {incident['reason']}"
        stdout.print(visible(line), soft_wrap=True)
    _print_keys(keys)
    for warning in warnings:
        note(warning)
    for channel in down:
        note(
            f"Alerts do not reach {channel.channel} since {channel.down_since:%Y-%m-%d %H:%M} UTC, "
            f"next attempt after {channel.next_attempt_at:%H:%M} UTC: {channel.last_error}"
        )
    wrong = [one for one in found if not one.is_complete]
    for organization_id, endpoints in _by_organization(wrong).items():
        _print_wrong(organization_id, endpoints, is_all=len(endpoints) == len(_by_organization(found)[organization_id]))
    if wrong:
        note("`onelens-claude daily` asks for what is missing; `onelens-claude check` tries the connection.")
    for one in begun:
        note(f"A backfill that began at {one.began_at:%Y-%m-%d %H:%M} UTC is not finished; run `{one.command}` again.")
    if not (found or begun):
        note("Nothing has been pulled yet. Run `onelens-claude backfill`.")


def _statuses(connection: duckdb.DuckDBPyConnection | None, settings: Settings) -> list[EndpointStatus]:
    if connection is None:
        return []
    now = utc_now()
    return all_statuses(connection, settings, now) + disconnected_statuses(connection, settings, now)


_BUDGETS_SHOWN = 10


def _rows_of(connection: duckdb.DuckDBPyConnection | None, table: str, sql: str) -> list[dict[str, Any]]:
    """Return what a mart says; nothing where it is not built."""
    if connection is None:
        return []
    is_there = "select 1 from duckdb_columns() where schema_name = 'marts' and table_name = ?"
    if not connection.execute(is_there, [table]).fetchone():
        return []
    return dicts(connection, sql)


def _print_budgets(budgets: list[dict[str, Any]]) -> None:
    """Print the budgets of the newest period, the furthest used first."""
    if not budgets:
        return
    budgets = sorted(budgets, key=lambda one: one["percent_used"], reverse=True)
    rows = [
        (
            one["organization_id"],
            one["budget_id"] if one["scope"] == "organization" else f"{one['budget_id']} for {one['member']}",
            one["period_start"],
            one["status"],
            f"{one['percent_used']:,.1f} %",
            _forecast(one),
        )
        for one in budgets[:_BUDGETS_SHOWN]
    ]
    print_table(["organisation", "budget", "since", "state", "used", "forecast"], rows)
    if len(budgets) > _BUDGETS_SHOWN:
        note(f'{len(budgets) - _BUDGETS_SHOWN} more: onelens-claude query "from marts.budget_status"')


def _forecast(budget: dict[str, Any]) -> str:
    """Return what the month is expected to cost, and its range or why there is none."""
    expected, low, high = (budget.get(f"forecast_{end}usd") for end in ("", "low_", "high_"))
    if expected is None:
        return ""
    if low is None or high is None:
        return f"{dollars(expected)} (too little history for a range)"
    return f"{dollars(expected)} ({dollars(low)} to {dollars(high)})"


def _print_keys(keys: list[KeyStatus]) -> None:
    """Print which key each organisation is read with; nothing for who has none."""
    if not keys:
        return
    rows = [(one.organization_id, one.setting.rpartition(".")[2], one.fingerprint, one.age_days) for one in keys]
    print_table(["organisation", "key of", "SHA-256 begins", "days in use"], rows)


def _by_organization(found: list[EndpointStatus]) -> dict[str, list[EndpointStatus]]:
    by_organization: dict[str, list[EndpointStatus]] = {}
    for one in found:
        by_organization.setdefault(one.organization_id, []).append(one)
    return by_organization


def _print_summary(found: list[EndpointStatus]) -> None:
    """Print one line per organisation: its worst state, and the day up to which everything is there."""
    print_table(
        ["organisation", "state", "costs up to", "engagement up to", "pulled last (UTC)"],
        [
            (
                organization_id,
                max((one.state for one in endpoints), key=list(EndpointState).index).value,
                _complete_through(endpoints, Family.COST),
                _complete_through(endpoints, Family.ENGAGEMENT),
                max((one.last_fetched_at.date() for one in endpoints if one.last_fetched_at), default=None),
            )
            for organization_id, endpoints in _by_organization(found).items()
        ],
    )


def _complete_through(endpoints: list[EndpointStatus], family: Family) -> dt.date | None:
    """Return the newest day up to which every endpoint of the family is complete; null where one has nothing."""
    days = [one.complete_through for one in endpoints if ENDPOINTS[one.endpoint].family is family]
    return None if None in days else min((day for day in days if day), default=None)


def _print_endpoints(found: list[EndpointStatus]) -> None:
    """Print a table for each organisation: a column with its name would leave no room for the rest."""
    for organization_id, endpoints in _by_organization(found).items():
        print_table(
            ["endpoint", "state", "complete up to", "days that can change", "pulled last (UTC)"],
            [
                (
                    one.endpoint,
                    one.state.value,
                    one.complete_through,
                    one.provisional_days,
                    _moment(one.last_fetched_at),
                )
                for one in endpoints
            ],
            title=organization_id,
        )


def _print_wrong(organization_id: str, endpoints: list[EndpointStatus], *, is_all: bool) -> None:
    """Print what is wrong with each endpoint; one line where nothing was ever asked for."""
    if is_all and {one.state for one in endpoints} == {EndpointState.NEVER_PULLED}:
        stdout.print(f"{organization_id}: nothing pulled yet; run `onelens-claude backfill --org {organization_id}`")
        return
    for one in endpoints:
        missing = f", missing {in_spans(one.gaps)}" if one.gaps else ""
        reason = without_place(one.reason, organization_id, one.endpoint)
        line = f"{organization_id}: {one.endpoint}: {one.state.value}{missing}{f': {reason}' if reason else ''}"
        stdout.print(visible(line), soft_wrap=True)


def _moment(moment: dt.datetime | None) -> str | None:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else None
