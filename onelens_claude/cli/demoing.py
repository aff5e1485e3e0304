"""`demo` and `dev`: the whole product on made-up data, and the Dagster UI."""

from __future__ import annotations

import logging
import os
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import typer

from onelens_claude.alerts.fact import SEVERITIES
from onelens_claude.alerts.log import AlertLog
from onelens_claude.alerts.standing import OPEN_INCIDENTS
from onelens_claude.cli.checking import check_organization, print_verdicts
from onelens_claude.cli.output import note, print_reconciliation, print_table, stdout
from onelens_claude.errors import SettingsError
from onelens_claude.orchestration.assets.alerts import ANOMALY_CHECK, BUDGET_CHECK
from onelens_claude.orchestration.resources import Onelens
from onelens_claude.paths import IS_CHECKOUT, command
from onelens_claude.report.page import default_path
from onelens_claude.settings import HOW_TO_START, config_path, load_settings
from onelens_claude.visible import visible
from onelens_claude.warehouse.connections import dicts

if TYPE_CHECKING:
    import duckdb

    from onelens_claude.settings import Settings

_ALERTS_SHOWN = 12
_SHOWN = (f"marts/budget_status {BUDGET_CHECK}", f"marts/cost_anomalies {ANOMALY_CHECK}")
"""Warnings that are tables of their own here."""

_TABLES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    (
        "Loaded into the raw layer",
        ("endpoint", "pulls", "pages", "rows", "bytes"),
        """select endpoint, count(*), sum(page_count)::bigint, sum(row_count)::bigint, sum(byte_count)::bigint
        from claude_raw.pulls
        where status = 'complete' and run_id = $run_id
        group by endpoint
        order by endpoint""",
    ),
    (
        "Top spenders (amounts below are shown to the cent, stored to the last digit)",
        ("organisation", "user", "spent (USD)", "list price (USD)"),
        """select organization_id, coalesce(email, name, user_id), sum(amount_usd), sum(list_amount_usd)
        from marts.user_daily_spend
        left join marts.dim_claude_users using (organization_id, user_id)
        where activity_date between $first and $last
        group by all
        order by sum(amount_usd) desc
        limit 8""",
    ),
    (
        "Spend by product",
        ("product", "spent (USD)", "of which unattributed (USD)"),
        """select coalesce(product, '(none)'), sum(amount_usd),
            coalesce(sum(amount_usd) filter (attribution = 'unattributed'), 0)
        from marts.fct_claude_costs
        where activity_date between $first and $last
        group by all
        order by sum(amount_usd) desc""",
    ),
    (
        "Spend by model",
        ("model", "spent (USD)"),
        """select coalesce(model, '(none)'), sum(amount_usd)
        from marts.fct_claude_costs
        where activity_date between $first and $last
        group by all
        order by sum(amount_usd) desc""",
    ),
    (
        "Budgets of the month",
        ("organisation", "budget", "spent (USD)", "limit (USD)", "used", "forecast (USD)", "state"),
        """select organization_id, budget_id, spent_usd, limit_usd, round(percent_used)::integer || ' %', forecast_usd,
            status
        from marts.budget_status
        qualify period_start = max(period_start) over (partition by organization_id, budget_id)
        order by organization_id, budget_id""",
    ),
    (
        "Seats on the newest day",
        ("organisation", "day", "seats", "active this month", "share of seats in use"),
        """select organization_id, activity_date, assigned_seat_count, monthly_active_user_count,
            round(100 * monthly_active_user_count / nullif(assigned_seat_count, 0))::integer || ' %'
        from marts.org_daily_adoption
        where activity_date <= $last
        qualify row_number() over (partition by organization_id order by activity_date desc) = 1
        order by organization_id""",
    ),
)


def demo() -> None:
    """Load 63 days of two made-up organisations from the local API server and show the result."""
    from onelens_claude.cli.demo_world import DEMO_CONFIG, demo_days, demo_world
    from onelens_claude.cli.pulling import run_backfill
    from onelens_claude.cli.watching import look

    first, last = demo_days()
    # the demo shows what its channel was told at the end, in a form for people
    logging.getLogger("onelens_claude.alerts.sending").setLevel(logging.ERROR)
    with demo_world():
        settings = load_settings()
        stdout.rule("Connection check")
        verdicts = [
            one for organization in settings.organizations for one in check_organization(settings, organization)
        ]
        print_verdicts(verdicts)
        if not all(verdict.passed for verdict in verdicts):
            note("The connection check failed.")
            raise typer.Exit(1)
        outcome = run_backfill(settings, str(first), str(last), None)
        stdout.rule("Today so far: who runs away?")
        watched = look(settings, list(settings.organizations))
    if outcome["reconciliation"]:
        stdout.rule("Reconciliation: is every cent accounted for?")
        print_reconciliation(outcome["reconciliation"], stdout)
        with Onelens(settings).warehouse().reader() as connection:
            _print_tables(connection, {"run_id": outcome["runs"][0], "first": first, "last": last})
            _print_incidents(connection)
    _print_alerts(settings)
    warnings = [one for one in outcome["warnings"] if not one.startswith(_SHOWN)]
    for problem in [*outcome["missing"], *outcome["failures"], *outcome["failed_checks"], *warnings]:
        note(f"Problem: {problem}")
    if not (outcome["ok"] and watched):
        note("Part of the demo failed.")
        raise typer.Exit(1)
    stdout.rule("What to type next")
    config = os.path.relpath(DEMO_CONFIG)
    stdout.print(command("dev"), style="bold")
    stdout.print("    opens the Dagster UI over this data")
    program = ".venv/bin/onelens-claude" if IS_CHECKOUT else "onelens-claude"
    example = f'ONELENS_CONFIG={config} {program} query "from marts.user_monthly_spend limit 5"'
    stdout.print(example, style="bold", soft_wrap=True)
    stdout.print("    queries the marts; `status` instead of `query ...` shows what is complete")
    page = default_path(settings)
    if not page.exists():
        note(f"Problem: there is no page at {page}; the run of the job says why.")
        raise typer.Exit(1)
    stdout.print(f"ONELENS_CONFIG={config} {program} report --serve", style="bold", soft_wrap=True)
    stdout.print("    serves the page of spend and adoption over http, for browsers that open no files")
    stdout.print(f"The page is there already; open it in a browser: {page}", soft_wrap=True)


def dev(
    port: int = typer.Option(3000, "--port", metavar="PORT", help="Port of the UI."),
) -> None:
    """Open the Dagster UI (webserver and daemon) over your settings, or over the demo's if you have none."""
    from onelens_claude.cli.demo_world import DEMO_CONFIG, demo_world
    from onelens_claude.cli.serving import serve

    if os.environ.get("ONELENS_CONFIG") or config_path().exists():
        load_settings()
        serve(port)
    elif DEMO_CONFIG.exists():
        note("There is no onelens.yaml; this is the demo's data, with its API server running beside the UI.")
        with demo_world():
            serve(port)
    else:
        raise SettingsError(f"There is nothing to show yet. {HOW_TO_START}")


def _print_tables(connection: duckdb.DuckDBPyConnection, values: dict[str, Any]) -> None:
    for title, columns, sql in _TABLES:
        wanted = {name: value for name, value in values.items() if f"${name}" in sql}
        rows = connection.execute(sql, wanted).fetchall()
        if rows:
            print_table(columns, [[_cell(value) for value in row] for row in rows], title=title)


def _print_incidents(connection: duckdb.DuckDBPyConnection) -> None:
    """Print each open incident in the mart's own words, the dearest first."""
    stdout.rule("Anomalies: what is unusual, and why?")
    for one in dicts(connection, OPEN_INCIDENTS):
        line = f"{one['organization_id']}: {one['kind'].replace('_', ' ')}: {one['reason']}"
        stdout.print(visible(line), soft_wrap=True)


def _print_alerts(settings: Settings) -> None:
    told = [one for one in AlertLog(settings.alerts_path).rows() if one["told_in"] is None]
    told.sort(key=lambda one: (-SEVERITIES.index(one["severity"]), one["first_seen_at"], one["title"]))
    rows = [(one["severity"], one["title"]) for one in told[:_ALERTS_SHOWN]]
    print_table(("severity", "alert"), rows, title="Alerts: what Slack, a webhook or a mailbox would have been sent")


def _cell(value: Any) -> Any:
    return f"{value:,.2f}" if isinstance(value, Decimal) else value
