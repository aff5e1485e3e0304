"""`status` and `query` on a loaded installation, and what its runs left in Dagster."""

from __future__ import annotations

import csv
import io
import os
import subprocess
from decimal import Decimal

import dagster as dg
import pytest
from rich.cells import cell_len

from tests.terminals import on_a_terminal
from tests.worlds import COMMAND

SQL = """select organization_id, activity_date, total_cents, total_cents * 0.01 as total_usd, null as nothing
from marts.cost_reconciliation order by all limit 3"""


def test_a_query_prints_every_digit_as_a_table_as_json_and_as_csv(loaded):
    expected = loaded.rows(SQL)
    as_json = loaded.good("query", "--json", SQL).json
    as_csv = list(csv.DictReader(io.StringIO(loaded.good("query", "--csv", SQL).stdout)))
    table = loaded.good("query", SQL).stdout
    assert len(expected) == len(as_json) == len(as_csv) == 3
    for true, one, line in zip(expected, as_json, as_csv, strict=True):
        for name in ("total_cents", "total_usd"):
            assert one[name] == f"{true[name]:f}"
            assert Decimal(line[name]) == true[name]
            assert line[name] == one[name]
            assert one[name] in table
        assert one["activity_date"] == line["activity_date"] == str(true["activity_date"])
        assert one["nothing"] is None
        assert line["nothing"] == ""


def test_status_names_every_endpoint_of_every_organisation_as_complete(loaded):
    found = loaded.good("status", "--json").json["status"]
    assert len({(one["organization_id"], one["endpoint"]) for one in found}) == 36
    assert {one["state"] for one in found} == {"complete"}
    assert {one["complete_through"] for one in found} == {"2026-11-19"}
    assert all(one["gaps"] == [] for one in found)
    cost = next(one for one in found if one["endpoint"] == "cost_report")
    assert cost["first_day"] == "2026-10-15"
    assert 0 < cost["provisional_days"] <= 30
    assert loaded.good("status", "--all").stdout.count("complete") >= 36


@pytest.mark.parametrize("columns", [80, 200])
def test_a_screen_shows_whole_rows_and_people_by_their_address(loaded, columns):
    for command in (["status"], ["alerts", "list"]):
        exit_code, screen = on_a_terminal(loaded.variables(), *command, columns=columns)
        assert exit_code == 0
        table = [line for line in screen.splitlines() if line[:1] in "┏┃┡│├└"]
        assert max(cell_len(line) for line in table) <= columns
        assert "user_01" not in "".join(table)
        # a cell is as wide as a word, so no column stands letter by letter
        assert min(len(border) for line in table if line.startswith("┏") for border in line[1:-1].split("┳")) >= 6
    budgets = [one for one in loaded.good("status", "--json").json["budgets"] if one["scope"] == "user"]
    addresses = loaded.rows("select user_id, email from marts.dim_claude_users")
    named = {row["user_id"]: row["email"] for row in addresses}
    assert budgets
    assert all(one["member"] == (named[one["scope_value"]] or one["member"]) for one in budgets)


def test_the_runs_of_commands_are_in_dagster_under_their_jobs_names(loaded):
    with loaded.instance() as instance:
        runs = instance.get_runs()
        assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}
        assert {"ingest_job", "marts_job", "daily_job"} == {run.job_name for run in runs}
        raw = instance.get_latest_materialization_event(dg.AssetKey(["claude_raw", "cost_report"]))
        assert raw.asset_materialization.metadata["amount_cents"].value
        days = instance.get_materialized_partitions(dg.AssetKey(["claude_raw", "users"]))
        assert {"2026-10-15", "2026-11-19"} <= days
        slots = instance.event_log_storage.get_concurrency_info("warehouse_writer")
        assert slots.active_slot_count == 0


def test_the_reconciliation_check_says_which_days_and_how_many_cents_it_is_about(loaded):
    (expected,) = loaded.rows("select count(*) as days, sum(total_cents) as cents from marts.cost_reconciliation")
    key = dg.AssetCheckKey(dg.AssetKey(["marts", "fct_claude_costs"]), "reconciliation_is_exact")
    with loaded.instance() as instance:
        (newest,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    metadata = newest.event.dagster_event.asset_check_evaluation_data.metadata
    assert (metadata["days"].value, Decimal(metadata["cents"].value)) == (expected["days"], expected["cents"])
    assert {record.data["organization"] for record in metadata["organizations"].records} >= {"acme", "globex"}


def test_the_keys_are_nowhere_in_dagster_or_the_warehouse_folder(loaded):
    for key in set(loaded.keys.values()):
        secret = key.encode()
        for path in loaded.folder.rglob("*"):
            if path.is_file():
                assert secret not in path.read_bytes(), path


def test_piped_output_has_no_colour_and_no_progress_bar_and_the_installed_command_is_the_same(loaded):
    environment = {**os.environ, **loaded.variables()}
    for extra in ({}, {"NO_COLOR": "1"}):
        done = subprocess.run(
            [str(COMMAND), "status"], env={**environment, **extra}, capture_output=True, text=True, check=True
        )
        assert "\x1b" not in done.stdout + done.stderr
        assert done.stdout == loaded.good("status").stdout


def test_a_mart_in_the_ui_tells_its_rows_the_highest_of_them_and_nobodys_address(loaded):
    marts = loaded.rows(
        "select distinct table_name as mart from information_schema.tables where table_schema = 'marts'"
    )
    with loaded.instance() as instance:
        told = {
            row["mart"]: instance.get_latest_materialization_event(
                dg.AssetKey(["marts", row["mart"]])
            ).asset_materialization.metadata
            for row in marts
        }
    spend = told["user_monthly_spend"]
    (counted,) = loaded.rows("select count(*) as count from marts.user_monthly_spend")
    assert spend["dagster/row_count"].value == counted["count"]
    highest = loaded.rows(
        "select user_id, amount_usd from marts.user_monthly_spend"
        " where month = (select max(month) from marts.user_monthly_spend) order by amount_usd desc limit 5"
    )
    shown = [(record.data["user_id"], Decimal(record.data["amount_usd"])) for record in spend["highest"].records]
    assert shown == [(row["user_id"], row["amount_usd"]) for row in highest]
    (newest,) = loaded.rows(
        "select max(activity_date) as day from marts.product_daily_spend where finality <> 'incomplete'"
    )
    assert told["product_daily_spend"]["complete_to"].value == str(newest["day"])
    cells = [
        str(cell)
        for metadata in told.values()
        for name in ("highest", "newest", "first")
        if name in metadata
        for record in metadata[name].records
        for cell in record.data.values()
    ]
    assert len(cells) > 500
    people = loaded.rows("select email, name from marts.dim_claude_users")
    assert set(cells).isdisjoint({value for row in people for value in row.values()})
    assert [cell for cell in cells if "@" in cell] == []
