"""`status` and `query`: read the serving copy."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict

import duckdb
import typer

from onelens_claude.cli.output import JSON_OPTION, note, print_json, print_table, text
from onelens_claude.clock import utc_now
from onelens_claude.ledger.backfills import unfinished
from onelens_claude.ledger.status import all_statuses, in_spans
from onelens_claude.settings import load_settings
from onelens_claude.warehouse.files import Warehouse


def status(as_json: bool = JSON_OPTION) -> None:
    """Show per organisation and endpoint: complete up to, days that can still change, gaps, failures, last pull."""
    settings = load_settings()
    begun = unfinished(settings.warehouse_path.parent)
    with Warehouse.of(settings).newest_reader() as connection:
        found = all_statuses(connection, settings, utc_now()) if connection else []
    if as_json:
        unfinished_backfills = [{**asdict(one), "command": one.command} for one in begun]
        print_json({"status": [asdict(one) for one in found], "unfinished_backfills": unfinished_backfills})
    elif found:
        print_table(
            ["organisation", "endpoint", "state", "complete up to", "provisional", "gaps", "last pull (UTC)", "reason"],
            [
                (
                    one.organization_id,
                    one.endpoint,
                    one.state.value,
                    one.complete_through,
                    one.provisional_days,
                    in_spans(one.gaps) if one.gaps else "",
                    one.last_fetched_at.strftime("%Y-%m-%d %H:%M") if one.last_fetched_at else None,
                    one.reason,
                )
                for one in found
            ],
        )
    for one in begun:
        note(f"A backfill that began at {one.began_at:%Y-%m-%d %H:%M} UTC is not finished; run `{one.command}` again.")
    if not (found or begun):
        note("Nothing has been pulled yet. Run `onelens-claude backfill`.")


def query(
    sql: str = typer.Argument(metavar="SQL", help="One statement, for example: from marts.user_monthly_spend limit 5"),
    as_json: bool = JSON_OPTION,
    as_csv: bool = typer.Option(False, "--csv", help="Print CSV with a header line."),
) -> None:
    """Run read-only SQL on the serving copy."""
    if as_json and as_csv:
        raise typer.BadParameter("give only one of --json and --csv")
    with Warehouse.of(load_settings()).reader() as connection:
        try:
            result = connection.execute(sql)
            columns = [column[0] for column in result.description or []]
            rows = result.fetchall() if columns else []
        except duckdb.Error as error:
            note(f"Error: {error}")
            raise typer.Exit(2) from None
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif as_csv:
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([text(value) for value in row] for row in rows)
        typer.echo(buffer.getvalue(), nl=False)
    else:
        print_table(columns, rows)
        note(f"{len(rows)} rows")
