"""`chargeback`: what each team pays of a month, with a sum that is the organisation's own.

What is here: choosing the month's rows, the sum beside the fact, and how both are shown. What to add here: a column
that finance needs. What must not go here: who pays for whom (`settings/teams.py` and the models of teams).
"""

from __future__ import annotations

import csv
import datetime as dt
import os
import re
from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import TYPE_CHECKING, Any

import duckdb
import typer

from onelens_claude.cli.options import ORG_OPTION
from onelens_claude.cli.output import JSON_OPTION, inert, note, print_json, print_table
from onelens_claude.cli.ranges import organizations_of
from onelens_claude.errors import OnelensError, SettingsError, WarehouseError
from onelens_claude.settings import load_settings
from onelens_claude.warehouse.connections import dicts
from onelens_claude.warehouse.files import Warehouse

if TYPE_CHECKING:
    from decimal import Decimal

_ROWS = """
    select organization_id, month, team, cost_center, amount_usd, list_amount_usd, share_of_total, user_count,
        total_tokens, finality
    from marts.team_monthly_chargeback
    where month = $1 and list_contains($2, organization_id) and amount_usd is not null
    order by organization_id, starts_with(team, '('), amount_usd desc, team"""
_MONTHS = """
    select costs.organization_id, sum(costs.total_cents) * 0.01 as fact_usd, count(*) as day_count,
        count(*) filter (where finality = 'provisional') as provisional_day_count,
        count(*) filter (where finality = 'incomplete') as incomplete_day_count,
        max(activity_date) as newest_date
    from marts.cost_reconciliation as costs
    where date_trunc('month', activity_date) = $1 and list_contains($2, organization_id)
        and costs.total_cents is not null
    group by costs.organization_id
    order by costs.organization_id"""
_COLUMNS = (
    "organization_id",
    "month",
    "team",
    "cost_center",
    "amount_usd",
    "list_amount_usd",
    "share_of_total",
    "user_count",
    "total_tokens",
    "finality",
)
_CSV_OPTION = typer.Option(
    None, "--csv", metavar="FILE", dir_okay=False, help="Also write the rows there, with every digit."
)


def chargeback(
    month: str = typer.Option(..., "--month", metavar="YYYY-MM", help="The calendar month, UTC."),
    csv_file: Path | None = _CSV_OPTION,
    org: str | None = ORG_OPTION,
    as_json: bool = JSON_OPTION,
) -> None:
    """Show what each team pays of a month; the sum is the organisation's cost to the last digit.

    Teams are those of `teams` in the settings as of the last build; cost of people whom no row names is
    `(unmapped)`, and cost without a user account `(unattributed)`. Days that can still change are counted below.
    """
    settings = load_settings(needs_keys=False)
    first = _first_day(month)
    organizations = [one.id for one in organizations_of(settings, org)]
    with Warehouse.of(settings).reader() as connection:
        try:
            rows, months = (dicts(connection, sql, [first, organizations]) for sql in (_ROWS, _MONTHS))
        except duckdb.CatalogException:
            raise WarehouseError(
                f"{settings.serving_path}: was built before there were teams; run `onelens-claude daily`"
            ) from None
    if not months:
        raise OnelensError(
            f"{', '.join(organizations)}: no cost of {month} is held; `onelens-claude status` shows what is, "
            f"and `onelens-claude backfill --from {first}` pulls it"
        )
    summaries = [_summary(one, rows, first) for one in months]
    unequal = [one for one in summaries if not one["adds_up"]]
    if unequal:
        raise WarehouseError(
            f"{settings.serving_path}: the teams of {unequal[0]['organization_id']} in {month} add up to "
            f"{unequal[0]['amount_usd']:f} and the fact to {unequal[0]['fact_usd']:f}; "
            "run `onelens-claude daily`, which builds both anew"
        )
    if csv_file:
        _write_csv(csv_file, rows)
    if as_json:
        print_json({"month": month, "teams": rows, "organizations": summaries})
    else:
        _print(rows, summaries, has_teams=bool(settings.teams))
    if csv_file:
        note(f"{len(rows)} rows written to {csv_file}")


def _first_day(month: str) -> dt.date:
    if not re.fullmatch(r"\d{4}-\d{2}", month, re.ASCII):
        raise SettingsError(f"--month {month!r}: must be a month such as 2026-10")
    try:
        return dt.date.fromisoformat(f"{month}-01")
    except ValueError:
        raise SettingsError(f"--month {month!r}: there is no such month") from None


def _summary(known: dict[str, Any], rows: list[dict[str, Any]], first: dt.date) -> dict[str, Any]:
    """Return the sum of an organisation's teams beside the fact's, and how much of the month it is."""
    teams = [row for row in rows if row["organization_id"] == known["organization_id"]]
    amount = sum((row["amount_usd"] for row in teams), start=0 * known["fact_usd"])
    days = ((first.replace(day=28) + dt.timedelta(4)).replace(day=1) - first).days
    return known | {
        "amount_usd": amount,
        "adds_up": amount == known["fact_usd"],
        "missing_day_count": days - known["day_count"],
    }


def _print(rows: list[dict[str, Any]], summaries: list[dict[str, Any]], *, has_teams: bool) -> None:
    for one in summaries:
        teams = [row for row in rows if row["organization_id"] == one["organization_id"]]
        lines = [
            (
                row["team"],
                row["cost_center"],
                _cents(row["amount_usd"]),
                _percent(row["share_of_total"]),
                row["user_count"],
            )
            for row in teams
        ]
        total = ("total", None, _cents(one["amount_usd"]), _percent(1 if one["amount_usd"] else None), None)
        print_table(
            ["team", "cost centre", "US dollars", "share", "people"],
            [*lines, total],
            title=f"{one['organization_id']}, {teams[0]['month']:%Y-%m}" if teams else one["organization_id"],
        )
        open_days = [
            f"{count} {'day' if count == 1 else 'days'} {what}"
            for count, what in (
                (one["provisional_day_count"], "can still be revised"),
                (one["incomplete_day_count"], "not wholly known"),
                (one["missing_day_count"], "not held"),
            )
            if count
        ]
        state = f"; {', '.join(open_days)}" if open_days else "; every day is final"
        note(f"{one['organization_id']}: the total is the fact's, {one['fact_usd']:f} US dollars{state}.")
    note("Amounts are rounded to the cent here; --csv and --json have every digit.")
    if not has_teams:
        note("The settings name no teams, so everybody is (unmapped); `teams` in the settings says who pays for whom.")


def _cents(amount: Decimal) -> str:
    return f"{amount + 0:,.2f}"


def _percent(share: Decimal | int | None) -> str | None:
    return None if share is None else f"{100 * share:,.1f} %"


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the file whole or not at all; a spreadsheet will not calculate a team's name."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file)
            lines.writerow(_COLUMNS)
            lines.writerows([inert(row[name]) for name in _COLUMNS] for row in rows)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OnelensError(f"{path}: cannot be written: {error.strerror}; choose another file with --csv") from None
