"""From an agent that begins to run away to the row that tells of it, measured on a clock that is moved.

What belongs here: the running day over a built warehouse. What does not: one look without marts (`tests/watch`).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
import tempfile
from collections import defaultdict
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from onelens_claude.fake_api import Revision
from onelens_claude.orchestration.resources import Onelens
from onelens_claude.settings import load_settings
from onelens_claude.warehouse.connections import connect
from onelens_claude.watch.looking import look_at_today
from tests.alerts.receivers import HttpReceiver, http_receiver
from tests.end_to_end.test_documentation import SQL
from tests.worlds import World, process_environment, scratch_folder, serving_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from onelens_claude.watch.looking import Outcome

MONDAY = dt.date(2026, 11, 23)
FROM_HOUR = 9
HOUR = dt.timedelta(hours=1)
LAG = 4 * HOUR
"""How far the served data lie behind the clock."""


@pytest.fixture(scope="module")
def told() -> Iterator[HttpReceiver]:
    with http_receiver() as here:
        yield here


@pytest.fixture(scope="module")
def watched(loaded: World, told: HttpReceiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Serve one of the loaded organisations with a clock of its own, over a copy of what was built."""
    specs = {"acme": loaded.spec("acme")}
    with (
        scratch_folder() as folder,
        serving_world(folder, "2026-11-22T00:00:00+00:00", specs) as world,
        pytest.MonkeyPatch.context() as patch,
    ):
        (folder / "data").mkdir()
        shutil.copyfile(loaded.warehouse, world.warehouse)
        shutil.copyfile(loaded.serving, world.serving)
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("state")))
        world.write_settings(watch={"hours": 1}, alerts=[{"id": "hook", "kind": "webhook", "url_env": "HOOK_URL"}])
        world.environment["HOOK_URL"] = told.address
        yield world


def look(world: World, moment: dt.datetime) -> Outcome:
    world.now = moment
    with process_environment(world.variables()):
        onelens = Onelens(load_settings())
        (outcome,) = look_at_today(onelens.settings(), onelens.warehouse(), onelens.watching_client)
    return outcome


def at(day: dt.date, hour: int = 0, minute: int = 0) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(hour, minute), dt.UTC)


def regular_spender(world: World) -> str:
    """Return somebody whose whole days cost a few dollars each, one much like the other."""
    rows = world.rows(
        """select user_id from marts.user_daily_spend where organization_id = 'acme' and amount_usd > 0.01
        group by user_id having count(*) >= 15 and median(amount_usd) < 5 order by mad(ln(amount_usd::double)) limit 1"""
    )
    return str(rows[0]["user_id"])


@pytest.fixture(scope="module")
def run_away(watched: World) -> dict[str, Any]:
    """Watch three weeks for a band, then the Monday on which somebody's agent runs away at 09:00."""
    for days in (18, 12, 6):
        look(watched, at(MONDAY - dt.timedelta(days=days), 12))
    acme = watched.servers["acme"].api.tenants[0].organization
    person = regular_spender(watched)
    acme.add_revision(Revision(MONDAY, "runaway", user_id=person, from_hour=FROM_HOUR, usd_per_hour=60))
    log = watched.servers["acme"].api.log
    sent: list[dt.datetime] = []
    told: list[tuple[dt.datetime, Outcome]] = []
    for step in range(12 * 3 + 1):
        moment = at(MONDAY, FROM_HOUR - 1) + LAG + step * dt.timedelta(minutes=5)
        log.clear()
        outcome = look(watched, moment)
        sent += [moment] * len(log)
        told += [(moment, outcome)] if outcome.is_due else []
    watched.now = told[-1][0]
    return {"person": person, "acme": acme, "sent": sent, "told": told}


def test_a_runaway_is_told_within_an_hour_of_the_data(run_away: dict[str, Any]) -> None:
    first, outcome = next((moment, one) for moment, one in run_away["told"] if one.standing.runaways)
    delay = (first - LAG) - at(MONDAY, FROM_HOUR)
    assert dt.timedelta(0) < delay <= HOUR
    (runaway,) = outcome.standing.runaways
    assert runaway.user_id == run_away["person"]
    assert all(one.standing.runaways for moment, one in run_away["told"] if moment >= first)


def test_the_row_says_who_how_much_on_what_and_since_when(watched: World, run_away: dict[str, Any]) -> None:
    (row,) = watched.rows("from marts.runaways_today")  # in the copy that people read, without a build
    person = next(one for one in run_away["acme"].people if one.user_id == run_away["person"])
    spent = Decimal(0)
    for line in watched.truth("acme", "costs", str(MONDAY), str(MONDAY), by="user_id,product,model")["rows"]:
        spent += Decimal(line["amount"]) / 100 if line["user_id"] == run_away["person"] else 0
    assert row["actual"] == spent
    assert (row["scope"], row["scope_value"], row["metric"], row["kind"]) == (
        "user",
        person.user_id,
        "amount_usd",
        "runaway",
    )
    assert (row["top_product"], row["top_model"]) == ("claude_code", "claude-opus-4-7")
    assert row["since_hour"] == dt.datetime.combine(MONDAY, dt.time(FROM_HOUR))
    assert row["impact_usd"] == row["actual"] - row["expected"] > 20
    assert row["score"] > 3.5
    assert f"has spent ${spent:,.0f} so far on 23 Nov (up to 11:00 UTC), a whole day is usually $" in row["reason"]
    assert row["reason"].endswith("is claude-opus-4-7 in claude_code, since 09:00 UTC")
    (incident,) = watched.rows("from marts.cost_anomalies where kind = 'runaway'")
    assert {name: incident[name] for name in incident if name in row} == {
        name: row[name] for name in row if name in incident
    }
    series = f"acme|user|{person.user_id}|amount_usd|2026-11-23"
    assert incident["incident_id"] == hashlib.md5(series.encode(), usedforsecurity=False).hexdigest()


def test_while_the_day_is_above_its_band_there_is_a_look_every_quarter_and_twelve_requests_an_hour(
    run_away: dict[str, Any],
) -> None:
    assert all(one.standing.is_above for moment, one in run_away["told"] if moment >= at(MONDAY, FROM_HOUR + 1) + LAG)
    looks = [moment for moment, one in run_away["told"] if one.standing.is_above]
    assert {later - earlier for earlier, later in pairwise(looks)} == {dt.timedelta(minutes=15)}
    assert max(sum(moment - HOUR < one <= moment for one in run_away["sent"]) for moment in looks) == 12


def test_what_was_seen_adds_up_to_the_truth_and_is_in_no_fact(
    watched: World, loaded: World, run_away: dict[str, Any]
) -> None:
    assert run_away["told"]
    (truth,) = watched.truth("acme", "days", str(MONDAY), str(MONDAY))["rows"]
    (today,) = watched.rows("select sum(amount_cents) as cents from marts.spend_today where organization_id = 'acme'")
    (hours,) = watched.rows(
        "select sum(amount_cents) as cents from marts.hourly_spend where organization_id = 'acme' and activity_date = ?",
        MONDAY,
    )
    assert today["cents"] == hours["cents"] == Decimal(truth["amount"]) > 0
    for table in ("claude_raw.pulls", "marts.fct_claude_costs", "marts.cost_reconciliation"):
        count = f"select count(*) as n from {table} where organization_id = 'acme'"
        for path in (watched.serving, watched.warehouse):
            assert watched.rows(count, path=path) == loaded.rows(count)


def rule(world: World, path: Path, user_id: str) -> tuple[float, float]:
    """Return a person's score and usual whole day: the rule again, in numpy, over the fact of a file."""
    logs: dict[str, dict[dt.date, float]] = defaultdict(dict)
    for row in world.rows(
        """select activity_date as day, user_id, sum(amount_usd) as usd from marts.fct_claude_costs
        where organization_id = 'acme' and attribution = 'user' and finality <> 'incomplete' and activity_date >= ?
        group by all having usd > 0.01""",
        MONDAY - dt.timedelta(days=56),
        path=path,
    ):
        logs[row["user_id"]][row["day"]] = np.log(float(row["usd"]))
    today = {
        row["user_id"]: np.log(float(row["amount_usd"]))
        for row in world.rows("from marts.spend_today where attribution = 'user' and amount_usd > 0.01", path=path)
    }
    known = {user: np.array([*days.values()]) for user, days in logs.items() if len(days) >= 10}
    by_day: dict[dt.date, list[float]] = defaultdict(list)
    far: dict[dt.date, list[float]] = defaultdict(list)
    for user, days in logs.items():
        for day, log in days.items():
            by_day[day].append(log)
            if user in known:
                far[day].append((log - known[user].mean()) / max(known[user].std(), 0.3))
    tail = max(
        1, np.average([np.quantile(one, 0.99) for one in far.values()], weights=list(map(len, far.values()))) / 2.326
    )
    moved = [log - known[user].mean() for user, log in today.items() if user in known]
    shift = max(0, np.median(moved) * len(moved) / (len(moved) + 10))
    peers = np.median([np.median(one) for day, one in by_day.items() if (MONDAY - day).days <= 28])
    own = np.array([*logs[user_id].values()])
    n, middle = len(own), np.median(own)
    level = (n * middle + 3 * peers) / (n + 3) + shift
    spread = max(0.3, np.sqrt((n * (1.4826 * np.median(abs(own - middle))) ** 2 + 8 * 0.36) / (n + 8)))
    deviation = tail**2 * np.sqrt(spread**2 * (1 + 1 / n) + 1.44 * 9 / (n + 3) ** 2)
    return float((today[user_id] - level) / deviation), float(np.exp(level))


def test_a_score_is_that_of_numpy(watched: World, run_away: dict[str, Any]) -> None:
    sql = "from intermediate.int_today_scores where user_id = ?"
    (row,) = watched.rows(sql, run_away["person"])
    score, usual = rule(watched, watched.serving, run_away["person"])
    assert (row["score"], row["expected"]) == pytest.approx((score, usual), rel=1e-9)


def test_on_a_day_on_which_all_spend_far_more_it_takes_more_to_run_away(
    watched: World, run_away: dict[str, Any], tmp_path: Path
) -> None:
    copy = tmp_path / "launch.duckdb"
    shutil.copyfile(watched.serving, copy)
    with connect(copy) as connection:
        connection.execute("update claude_raw.watch_amounts set amount = 40 * amount where query = 'users'")
    score, usual = rule(watched, copy, run_away["person"])
    _, usual_before = rule(watched, watched.serving, run_away["person"])
    assert usual > 2 * usual_before
    (row,) = watched.rows("from intermediate.int_today_scores where user_id = ?", run_away["person"], path=copy)
    assert (row["score"], row["expected"]) == pytest.approx((score, usual), rel=1e-9)


@pytest.mark.parametrize(("title", "sql"), [one for one in SQL if one[0].startswith("The running day")])
def test_a_documented_query_of_the_running_day_answers(
    watched: World, run_away: dict[str, Any], title: str, sql: str
) -> None:
    assert run_away["told"]
    assert watched.rows(sql), title


def test_the_command_shows_each_organisation_and_runaway_and_tells_the_channels_once(
    watched: World, run_away: dict[str, Any], told: HttpReceiver
) -> None:
    watched.now = run_away["told"][-1][0] + dt.timedelta(minutes=15)
    line, runaway = watched.good("watch", "--once").stdout.splitlines()
    (row,) = watched.rows("from marts.runaways_today")
    assert line.startswith("acme: $")
    assert "on 2026-11-23, up to 2026-11-23 11:15 UTC; above the band of $0.00 to $" in line
    assert line.endswith("; 1 runaway")
    assert runaway == f"  runaway: {row['reason']}"
    watched.now += dt.timedelta(minutes=15)
    (seen,) = watched.good("watch", "--once", "--json").json
    assert seen["today"]["runaways"][0]["user_id"] == run_away["person"]
    assert Decimal(seen["today"]["amount_usd"]) > 100
    (alert,) = told.alerts
    assert (alert["event"], alert["severity"], alert["attempt"]) == ("anomaly", "critical", 1)
    assert alert["text"].startswith(row["reason"])
    assert watched.rows(alert["query"])
    assert f"open since 2026-11-23: {seen['today']['runaways'][0]['reason']}" in watched.good("status").stdout
