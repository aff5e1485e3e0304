"""The command `forget`, on a whole installation: the two facts, their checks, Dagster's log, the copy, the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from onelens_claude.alerts.fact import Fact
from onelens_claude.alerts.log import AlertLog
from onelens_claude.errors import InvalidRowError
from onelens_claude.landing.quarantine import Quarantine
from tests.facts_only import build_facts_only
from tests.organizations import organization
from tests.terminals import on_a_terminal
from tests.worlds import scratch_folder, serving_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.worlds import World

FIRST, LAST = "2026-11-16", "2026-11-19"
COSTS = """select organization_id, activity_date, sum(amount_cents) as cents, sum(list_amount_cents) as list_cents
    from marts.fct_claude_costs group by all order by all"""
AS_OF = COSTS.replace("marts.fct_claude_costs", "marts.fct_claude_costs_as_of(timestamp '2026-11-20 12:30:00')")
RECONCILED = """select * exclude (built_through_sequence) from marts.cost_reconciliation order by all"""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch, scratch_folder() as folder:
        build_facts_only(patch)
        specs = {"acme": organization(), "globex": organization("sk-ant-api01-globex", seed=3, name="Globex")}
        with serving_world(folder, "2026-11-20T12:00:00+00:00", specs) as here:
            here.good("backfill", "--from", FIRST, "--to", LAST)
            yield here


def biggest(world: World, name: str = "acme") -> dict[str, Any]:
    """Return who spent most and is not erased yet."""
    return world.rows(
        """select user_id, email, name from marts.fct_claude_costs join marts.dim_claude_users
        using (organization_id, user_id) where organization_id = ? and email is not null
        group by all order by sum(amount_cents) desc limit 1""",
        name,
    )[0]


def plant(world: World, whom: dict[str, Any]) -> None:
    """Leave the person wherever runs leave people: an alert, a refused answer, a log, the page, a killed run's spool."""
    data = world.warehouse.parent
    told: dict[str, Any] = {"event": "anomaly", "organization_id": "acme", "severity": "warning", "query": ""}
    fact: dict[str, Any] = {**told, "occurred_on": world.now.date()}
    text = f"{whom['name']} ({whom['email']}) spends more"
    log = AlertLog(data / "onelens_alerts.duckdb")
    log.record(
        [
            Fact(**fact, identity=("user", whom["user_id"]), title=text, text=text, data={"scope_value": whom["user_id"]}),
            Fact(**fact, identity=("organization", "acme"), title="acme", text=f"driven by:\n{whom['email']}"),
        ],
        [], ["acme"], world.now,
    )  # fmt: skip
    Quarantine(data / "quarantine").keep_answer("refused", InvalidRowError("acme: refused"), text.encode())
    for name in ("site/report.html", "dbt/dbt.log", "spool/killed/page.json"):
        path = data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with world.instance() as instance:
        instance.add_run_tags(next(iter(instance.get_runs())).run_id, {"note": text})


def files_that_name(world: World, whom: dict[str, Any]) -> list[str]:
    words = [str(one).encode() for one in whom.values()]
    return [
        str(path.relative_to(world.folder))
        for path in world.folder.rglob("*")
        if path.is_file() and any(word in path.read_bytes() for word in words)
    ]


def test_nothing_goes_without_the_id_or_address_typed_twice(world):
    whom = biggest(world)["email"]
    answer = world.run("forget", "--user", whom)
    assert answer.exit_code == 2
    assert f"--confirm {whom}" in answer.text
    wrong = world.run("forget", "--user", whom, "--confirm", "somebody")
    assert wrong.exit_code == 2
    assert "nothing was erased" in wrong.text
    assert world.run("forget").exit_code == 2
    assert world.run("forget", "--user", "nobody@x.example", "--confirm", "nobody@x.example").exit_code == 2
    assert biggest(world)["email"] == whom


def test_a_terminal_is_asked_to_type_it_again(world):
    whom = biggest(world)["email"]
    exit_code, screen = on_a_terminal(world.variables(), "forget", "--user", whom, typed="somebody else\n")
    assert f"Type {whom} to erase it" in " ".join(screen.split())
    assert "nothing was erased" in " ".join(screen.split())
    assert exit_code == 2
    assert biggest(world)["email"] == whom


def test_a_dry_run_says_what_would_go_and_changes_nothing(world):
    whom = biggest(world)
    before = world.warehouse.read_bytes()
    would = world.good("forget", "--user", whom["email"], "--dry-run", "--json").json["would_go"]
    places = {one["place"]: one["items"] for one in would}
    assert {"claude_raw.user_cost_report_rows", "claude_raw.pages", "claude_raw.users_rows"} <= places.keys()
    assert (
        places["marts.fct_claude_costs"]
        == world.rows("select count(*) as n from marts.fct_claude_costs where user_id = ?", whom["user_id"])[0]["n"]
    )
    assert world.warehouse.read_bytes() == before


def test_a_person_who_was_erased_is_in_no_byte_of_any_file_and_no_total_changed(world):
    whom = biggest(world)
    plant(world, whom)
    assert len(files_that_name(world, whom)) >= 6
    before = {sql: world.rows(sql) for sql in (COSTS, AS_OF, RECONCILED)}
    of_user = world.rows("select sum(amount_cents) as c from marts.fct_claude_costs where user_id = ?", whom["user_id"])
    receipt = world.good("forget", "--user", whom["email"], "--confirm", whom["email"], "--json").json
    assert files_that_name(world, whom) == []
    assert receipt["ok"]
    assert receipt["left_in"] == []
    places = {one["place"]: one["item_count"] for one in receipt["erased"]}
    assert (places["alert log"], places["quarantine"]) == (2, 1)
    assert all(one["erased_at"] for one in receipt["erased"])
    assert {sql: world.rows(sql) for sql in before} == before
    erased = world.rows("select sum(amount_cents) as c from marts.fct_claude_costs where attribution = 'erased'")
    assert erased == of_user
    for rest in (
        "marts.fct_claude_costs where attribution = 'erased' and user_id is not null",
        f"marts.dim_claude_users where user_id in ('erased', '{whom['user_id']}')",
    ):
        assert world.rows(f"select count(*) as n from {rest}") == [{"n": 0}]
    stored = world.rows("select distinct subject_hash from claude_raw.erasures")
    assert stored == [{"subject_hash": receipt["subject_hash"]}]


def test_an_organisation_must_have_left_the_settings(world):
    answer = world.run("forget", "--org", "globex", "--confirm", "globex")
    assert answer.exit_code == 2
    assert "organizations.globex: is still in the settings" in answer.text
