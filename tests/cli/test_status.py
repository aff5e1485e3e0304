"""`status` is one line per organisation, details where something is wrong, and needs no key."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

import duckdb
import pytest
import yaml
from rich.cells import cell_len

from onelens_claude.fake_api import Fault
from onelens_claude.orchestration.resources import Onelens
from onelens_claude.settings import load_settings
from tests.organizations import NOW
from tests.terminals import on_a_terminal
from tests.worlds import process_environment, scratch_folder, serving_world

from .conftest import FIRST, LAST, small_organization

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.worlds import World

GAMMA = "gamma_in_north_america"
FORGED = "acme: users 2026-11-19: 500 api_error: no [/b]\nacme: everything is complete\x1b[31m\u202e"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Land all of acme, beta without its newest day of two endpoints, and nothing of the third; then take the keys away."""
    specs = {
        name: small_organization(api_key=f"sk-{name}", users=2, seed=seed)
        for seed, name in enumerate(("acme", "beta", GAMMA), start=1)
    }
    first, last = dt.date.fromisoformat(FIRST), dt.date.fromisoformat(LAST)
    with scratch_folder() as folder, serving_world(folder, NOW, specs) as world:
        with process_environment(world.variables()):
            onelens = Onelens(load_settings())
            days = [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]
            for endpoint in load_settings().endpoints():
                is_held = endpoint.name not in {"skills", "connectors"}
                wanted = {"acme": days, "beta": days if is_held else days[:-1]}
                onelens.landing(endpoint.name).land(endpoint, wanted)
                if endpoint.name == "skills":
                    world.servers["beta"].api.faults.add(Fault("forbidden", times=1))
                    onelens.landing(endpoint.name).land(endpoint, {"beta": days[-1:]})
        with duckdb.connect(str(world.warehouse)) as connection:
            connection.execute(
                """insert into claude_raw.pulls by name
                select * replace ('failed' as status, 'forged' as pull_id, ? as error_message, 'api_error' as error_type,
                    (select max(pull_sequence) + 1 from claude_raw.pulls) as pull_sequence)
                from claude_raw.pulls where organization_id = 'acme' and endpoint = 'users' limit 1""",
                [FORGED],
            )
        world.keys.clear()
        yield world


def test_each_organisation_is_one_line_on_a_narrow_terminal(world):
    exit_code, screen = on_a_terminal(world.variables(), "status")
    assert exit_code == 0
    for name, state, day in (("acme", "failed", LAST), ("beta", "forbidden", "2026-11-18"), (GAMMA, "never", "")):
        (line,) = [line for line in screen.splitlines() if line.startswith(f"│ {name} ")]
        assert state in line
        assert day in line
        assert cell_len(line) <= 80


def test_details_stand_where_something_is_wrong_and_name_everything_once(world):
    lines = world.good("status").stdout.splitlines()
    details = [line for line in lines if re.match("acme:|beta:|gamma_", line)]
    assert len(details) == 4
    failed, forbidden, gaps, never = details
    assert failed == (
        r"acme: users: failed: 2026-11-19: 500 api_error: no [/b]\nacme: everything is complete\x1b[31m\u202e"
    )
    assert forbidden.startswith(
        "beta: skills: forbidden, missing 2026-11-19 (1 day): 2026-11-19: 403 permission_error: "
    )
    assert "public API access must be on" in forbidden
    assert "(request req_" in forbidden
    assert gaps == "beta: connectors: gaps, missing 2026-11-19 (1 day)"
    assert never == f"{GAMMA}: nothing pulled yet; run `onelens-claude backfill --org {GAMMA}`"


def test_what_to_do_next_is_said_when_something_is_wrong(world):
    assert "`onelens-claude daily` asks for what is missing" in world.good("status").stderr


def test_every_endpoint_is_one_line_on_demand_and_is_in_json(world):
    exit_code, screen = on_a_terminal(world.variables(), "status", "--all")
    assert exit_code == 0
    lines = [line for line in screen.splitlines() if line.startswith("│ ")]
    assert max(cell_len(line) for line in lines) <= 80
    assert [line.strip() for line in screen.splitlines() if line.strip() in world.servers] == ["acme", "beta", GAMMA]
    every = world.good("status", "--json").json["status"]
    assert [line.split()[1] for line in lines] == [one["endpoint"] for one in every]
    assert len(every) == 27


def test_json_holds_the_message_exactly_and_no_character_that_a_terminal_obeys(world):
    answer = world.good("status", "--json")
    (users,) = [one for one in answer.json["status"] if (one["organization_id"], one["endpoint"]) == ("acme", "users")]
    assert users["reason"] == FORGED
    assert not {"\x1b", "\u202e"} & set(answer.stdout)


def test_an_organisation_that_is_no_longer_in_the_settings_is_shown_as_that_and_as_nothing_worse(world):
    before = world.config.read_text()
    content = yaml.safe_load(before)
    content["organizations"] = [one for one in content["organizations"] if one["id"] != "beta"]
    world.config.write_text(yaml.safe_dump(content))
    try:
        plain = world.good("status")
        (line,) = [line for line in plain.stdout.splitlines() if "beta" in line]
        assert line.split("│")[2].strip() == "not in the settings"
        states = {
            one["state"] for one in world.good("status", "--json").json["status"] if one["organization_id"] == "beta"
        }
        assert states == {"not in the settings"}
    finally:
        world.config.write_text(before)
