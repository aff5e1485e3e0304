"""`alerts test`, `alerts list` and `--fail-on` as a person types them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from onelens_claude.alerts.delivery import evaluate
from onelens_claude.settings import load_settings
from onelens_claude.warehouse.connections import connect
from onelens_claude.warehouse.raw_tables import create_raw_tables
from tests.alerts.conftest import HOOK, fact
from tests.alerts.receivers import HttpReceiver, http_receiver
from tests.worlds import process_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.worlds import World


@pytest.fixture
def receiver(world: World) -> Iterator[HttpReceiver]:
    with http_receiver() as here:
        world.environment |= {"HOOK_URL": here.address, "HOOK_SECRET": "word"}
        world.write_settings(alerts=[HOOK, {"id": "here", "kind": "log"}])
        yield here


def test_a_sample_goes_to_each_channel_and_the_log_does_not_know_of_it(world, receiver, caplog):
    answer = world.good("alerts", "test")
    assert answer.stdout == "ok   hook (webhook): took the sample\nok   here (log): took the sample\n"
    assert "Alert (here): [info] A test of this channel by onelens-claude." in caplog.text
    assert receiver.alerts[0]["data"] == {"is_test": True}
    assert world.good("alerts", "list").stderr == "No channel was told anything yet.\n"


def test_a_channel_that_takes_nothing_fails_the_test_with_its_reason(world, receiver):
    receiver.otherwise = 410
    answer = world.run("alerts", "test", "--channel", "hook", "--json")
    assert answer.exit_code == 1
    (result,) = answer.json["channels"]
    assert (result["ok"], result["reason"]) == (False, "alerts.hook: answered 410 Gone: fine")


def test_a_channel_that_is_not_in_the_settings_is_wrong_usage(world, receiver):
    answer = world.run("alerts", "test", "--channel", "pager")
    assert answer.exit_code == 2
    assert "alerts: no channel 'pager'; known channels: hook, here" in answer.stderr


def test_a_channel_that_is_down_shows_in_the_list_and_in_the_status(world, receiver):
    receiver.otherwise = 404
    with process_environment(world.variables()):
        evaluate(load_settings(), [fact()])
    shown = world.good("alerts", "list")
    assert "retrying" in shown.stdout
    assert "hook is down since 2026-11-20 12:00 UTC: alerts.hook: answered 404 Not Found: fine" in shown.stderr
    assert "Alerts do not reach hook since 2026-11-20 12:00 UTC, next attempt after 12:01 UTC" in (
        world.good("status").stderr
    )


def test_status_says_where_a_month_will_end_with_the_range_or_that_there_is_none(world):
    rows = [
        ("with-range", "1200.5", "1100", "1299.994", "forecast_exceeded"),
        ("without-range", "900", None, None, "warning"),
        ("not-asked", None, None, None, "warning"),
    ]
    world.warehouse.parent.mkdir()
    with connect(world.warehouse) as connection:
        create_raw_tables(connection)
        connection.execute(
            """create schema marts;
            create table marts.budget_status (organization_id varchar, budget_id varchar, scope varchar, scope_value varchar,
                period_start date, limit_usd decimal(38, 14), spent_usd decimal(38, 14), percent_used decimal(38, 4),
                forecast_usd decimal(38, 14), forecast_low_usd decimal(38, 14), forecast_high_usd decimal(38, 14),
                threshold_crossed integer, status varchar);
            create table marts.dim_claude_users (organization_id varchar, user_id varchar, email varchar, name varchar)"""
        )
        connection.executemany(
            """insert into marts.budget_status
            values ('acme', ?, 'organization', 'acme', '2026-11-01', 1000, 600, 60, ?, ?, ?, 50, ?)""",
            rows,
        )
    shown = " ".join(world.good("status").stdout.split())
    assert "$1,200.50 ($1,100.00 to $1,299.99)" in shown
    assert "$900.00 (too little history for a range)" in shown
    assert shown.count("$") == 4
    told = {one["budget_id"]: one["forecast_usd"] for one in world.good("status", "--json").json["budgets"]}
    assert told == {"with-range": "1200.50000000000000", "without-range": "900.00000000000000", "not-asked": None}


def test_a_gate_that_there_is_not_is_wrong_usage(world):
    answer = world.run("daily", "--fail-on", "budget,weather")
    assert answer.exit_code == 2
    assert "--fail-on: 'weather' is no gate; use budget, anomaly, joined by a comma" in answer.stderr
