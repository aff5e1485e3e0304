"""Addresses and names as pseudonyms or not at all: no clear one reaches the disk, and everything still adds up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from onelens_claude.errors import SettingsError
from onelens_claude.orchestration.assets.erasure import erasures as erasures_asset
from onelens_claude.privacy import hiding
from onelens_claude.privacy.erasure import subjects
from onelens_claude.privacy.people import changed_rows
from onelens_claude.settings.budgets import Budget
from onelens_claude.settings.privacy import Privacy, Pseudonyms
from tests.organizations import organization

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.worlds import World

DAY, LAST = "2026-11-18", "2026-11-19"
ENDPOINTS = ("user_cost_report", "cost_report", "users", "chat_projects")
KEY = "0123456789abcdef0123456789abcdef"
ROWS = "select * exclude (pull_id, actor_email_address, actor_name) from claude_raw.user_cost_report_rows order by all"


@pytest.fixture
def world(make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("ONELENS_PSEUDONYM_KEY", KEY)
    return make_world({"acme": organization(), "globex": organization("sk-ant-api01-globex", name="Globex")})


def switch(here: World, emails: Any) -> None:
    here.settings = here.settings.model_copy(update={"privacy": Privacy(emails=emails)})


def land(here: World, *organizations: str) -> None:
    for endpoint in ENDPOINTS:
        here.land(endpoint, DAY, LAST, organizations or ("acme",))


def run_asset(here: World) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize([erasures_asset], resources={"onelens": here.onelens}, instance=instance)


def people(here: World) -> list[tuple[Any, ...]]:
    return here.query(
        "select distinct organization_id, actor_user_id, actor_email_address, actor_name "
        "from claude_raw.user_cost_report_rows where actor_email_address is not null order by all"
    )


def bodies(here: World) -> str:
    return "".join(
        payload for endpoint in ENDPOINTS for (payload,) in here.query(f"select payload from claude_raw.{endpoint}")
    )


def is_clear(here: World, words: list[str]) -> bool:
    """Tell whether any word is in the bytes of a file beside the warehouse, or in a stored page."""
    content = [path.read_bytes() for path in here.settings.warehouse_path.parent.rglob("*") if path.is_file()]
    return any(word.encode() in one for word in words for one in content) or any(word in bodies(here) for word in words)


def test_under_pseudonym_no_address_and_no_name_reaches_the_disk_and_every_amount_does(world):
    land(world, "acme", "globex")
    named, rows = people(world), world.query(ROWS)
    words = [word for *_, address, name in named for word in (address, name)]
    assert is_clear(world, words)
    world.settings.warehouse_path.unlink()
    switch(world, "pseudonym")
    land(world, "acme", "globex")
    assert not is_clear(world, words)
    assert world.query(ROWS) == rows
    keyed = Pseudonyms("pseudonym", KEY.encode())
    assert {(one[0], one[1], keyed.address(one[0], one[2]), keyed.name(one[0], one[3])) for one in named} == set(
        people(world)
    )
    assert all(address.startswith("p-") and "@p-" in address for *_, address, _ in people(world))


def test_switching_on_rewrites_what_is_stored_to_what_would_have_been_stored(world):
    land(world)
    named, rows = people(world), world.query(ROWS)
    words = [word for *_, address, name in named for word in (address, name)]
    switch(world, "pseudonym")
    run_asset(world)
    assert not is_clear(world, words)
    assert world.query(ROWS) == rows
    before = sorted(
        one["actor"]["email_address"] or ""
        for (body,) in world.query("select payload from claude_raw.user_cost_report")
        for one in json.loads(body)["data"]
    )
    assert (
        sorted(one or "" for (one,) in world.query("select actor_email_address from claude_raw.user_cost_report_rows"))
        == before
    )
    stored = people(world)
    land(world)
    assert people(world) == stored, "a later pull stores the same pseudonyms"
    content = world.settings.warehouse_path.read_bytes()
    run_asset(world)
    assert world.settings.warehouse_path.read_bytes() == content, "nothing is left to do"
    switch(world, "clear")
    run_asset(world)
    assert people(world) == stored, "going back affects later pulls only"


def test_a_rewriting_that_is_killed_half_way_is_completed_by_the_next_run(world, monkeypatch):
    land(world)
    words = [word for *_, address, name in people(world) for word in (address, name)]
    switch(world, "pseudonym")

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(hiding, "_hide_rows", killed)
        with pytest.raises((KeyboardInterrupt, dg.DagsterExecutionInterruptedError)):
            run_asset(world)
    assert is_clear(world, words)
    run_asset(world)
    assert not is_clear(world, words)


def test_under_drop_nothing_but_ids_is_kept(world):
    land(world)
    words = [word for *_, address, name in people(world) for word in (address, name)]
    rows = world.query(ROWS)
    switch(world, "drop")
    run_asset(world)
    assert not is_clear(world, words)
    assert people(world) == []
    land(world)
    assert people(world) == []
    assert set(world.query(ROWS)) == set(rows)


def test_an_address_in_a_project_name_or_an_unknown_field_is_hidden_too(world):
    change = hiding.hides(Pseudonyms("pseudonym", KEY.encode()), "acme")
    rows = (
        b'[{"project_name":"for ada\\u0040x.example","created_by":{"id":"u","email_address":"ada@x.example"},"n":1.50}]'
    )
    (row,) = json.loads(change("chat_projects", rows))
    assert row["project_name"] == f"for {row['created_by']['email_address']}"
    assert row["created_by"]["id"] == "u"
    assert b'"n":1.50' in change("chat_projects", rows)
    unknown = change("users", b"<html>ada@x.example</html>")
    assert b"ada" not in unknown
    assert changed_rows(rows, lambda row: row) is rows


def test_somebody_who_is_a_pseudonym_is_erased_by_the_clear_address(world):
    land(world)
    _, user_id, address, _ = people(world)[0]
    switch(world, "pseudonym")
    run_asset(world)
    keyed = world.settings.pseudonyms()
    with world.onelens.warehouse().working_reader() as connection:
        (meant,) = subjects(connection, address, None, keyed)
    assert meant.user_ids == {user_id}
    assert meant.addresses == {keyed.address("acme", address), address}


def test_a_budget_by_address_is_stored_as_people_are(world):
    budget = Budget.model_validate(
        {"id": "b", "organization": "*", "scope": "user", "value": "Ada@x.example", "limit_usd": 1}
    )
    switch(world, "pseudonym")
    world.settings = world.settings.model_copy(update={"budgets": (budget,)})
    world.store_settings()
    keyed = Pseudonyms("pseudonym", KEY.encode())
    ((value, addresses),) = world.query("select scope_value, addresses from claude_raw.budgets")
    assert addresses == {name: keyed.address(name, "ada@x.example") for name in ("acme", "globex")}
    assert "x.example" not in value
    assert addresses["acme"] != addresses["globex"]


def test_a_pattern_of_a_domain_matches_the_same_addresses_as_before():
    keyed = Pseudonyms("pseudonym", KEY.encode())
    pattern = keyed.address("acme", "*@Research.example.com") or ""
    assert pattern.startswith("*@p-")
    assert (keyed.address("acme", "ada@research.example.com") or "").endswith(pattern.removeprefix("*"))
    assert not (keyed.address("acme", "ada@example.com") or "").endswith(pattern.removeprefix("*"))


def test_a_pseudonym_is_the_keys_and_the_organisations_and_stays_as_it_is():
    keyed, other = Pseudonyms("pseudonym", KEY.encode()), Pseudonyms("pseudonym", b"another key of thirty-two letters")
    stored = keyed.address("acme", "Ada@x.example") or ""
    assert stored == keyed.address("acme", "ada@X.example")
    assert keyed.address("acme", stored) == other.address("acme", stored) == stored
    assert other.address("acme", "ada@x.example") != stored != keyed.address("globex", "ada@x.example")
    assert keyed.name("acme", "Deleted User") == "Deleted User"


@pytest.mark.parametrize(("key", "reason"), [("", "is not set"), ("feeble", "has 6 characters")])
def test_a_missing_or_a_short_key_is_refused_with_its_name_and_never_shown(world, monkeypatch, key, reason):
    switch(world, "pseudonym")
    monkeypatch.setenv("ONELENS_PSEUDONYM_KEY", key)
    with pytest.raises(SettingsError, match=rf"privacy.pseudonym_key_env.*ONELENS_PSEUDONYM_KEY {reason}") as refused:
        world.settings.pseudonyms()
    assert str(world.settings.source) in str(refused.value)
    assert "feeble" not in str(refused.value)
