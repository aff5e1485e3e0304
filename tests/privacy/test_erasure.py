"""Whoever is erased is nowhere afterwards, and every total is what it was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from onelens_claude.orchestration.assets.erasure import erasures as erasures_asset
from onelens_claude.privacy.bodies import rows_with_text
from onelens_claude.privacy.erasure import Subject, compact_after_erasure, erase_person, record, subjects, subjects_of
from onelens_claude.privacy.forgotten import Forgotten
from onelens_claude.warehouse.connections import transaction
from onelens_claude.warehouse.files import Warehouse
from onelens_claude.watch.looking import look_at_today
from tests.organizations import organization

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.worlds import World

FIRST, LAST = "2026-11-01", "2026-11-19"
ENDPOINTS = ("user_cost_report", "cost_report", "user_usage_report", "users", "chat_projects")


@pytest.fixture
def loaded(make_world: Callable[..., World]) -> World:
    here = make_world({"acme": organization()})
    for endpoint in ENDPOINTS:
        here.land(endpoint, FIRST, LAST)
    return here


def somebody(here: World) -> tuple[str, str, str]:
    """Return id, address and name of who spent most."""
    ((user_id, address, name),) = here.query(
        """select actor_user_id, max(actor_email_address), max(actor_name) from claude_raw.user_cost_report_rows
        where actor_email_address is not null group by all order by sum(amount) desc limit 1"""
    )
    return user_id, address, name


def bodies(here: World) -> list[str]:
    return [
        payload
        for endpoint in ENDPOINTS
        for (payload,) in here.query(f"select payload from claude_raw.{endpoint} order by pull_id, page_number")
    ]


def erase(here: World, typed: str) -> Subject:
    forgotten = Forgotten.beside(here.settings.warehouse_path)
    warehouse = here.onelens.warehouse()
    with warehouse.working_reader() as connection:
        (meant,) = subjects(connection, typed, None)
    erasure = forgotten.add("user", typed, "tester", {meant.organization_id: {*meant.user_ids, *meant.addresses}})
    with warehouse.writer() as connection, transaction(connection):
        for found in subjects_of(connection, forgotten, erasure):
            record(connection, erasure, erase_person(connection, forgotten, found), None)
    compact_after_erasure(warehouse)
    return meant


def run_asset(here: World) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize([erasures_asset], resources={"onelens": here.onelens}, instance=instance)


@pytest.mark.parametrize("by", [0, 1], ids=["id", "address"])
def test_a_person_is_in_no_page_and_no_row_afterwards_and_every_amount_is_what_it_was(loaded, by):
    whom = somebody(loaded)
    amounts = loaded.query(
        "select activity_date, sum(amount) from claude_raw.user_cost_report_rows group by 1 order by 1"
    )
    shas = loaded.query("select pull_id, sha256 from claude_raw.pulls order by all")
    others = {
        text for body in bodies(loaded) for row, text in rows_with_text(body[body.index("[") :])
        if not any(one in text for one in whom)
    }  # fmt: skip
    assert any(whom[1] in body for body in bodies(loaded))
    erase(loaded, whom[by].upper() if by else whom[by])
    assert not [one for one in whom for body in bodies(loaded) if one in body]
    for table in (f"{name}_rows" for name in ENDPOINTS):
        (rows,) = loaded.query(f"select coalesce(string_agg(to_json(t)::varchar, ''), '') from claude_raw.{table} t")
        assert not [one for one in whom if one in rows[0]], table
    after = {text for body in bodies(loaded) for _, text in rows_with_text(body[body.index("[") :])}
    assert others <= after
    assert (
        loaded.query("select activity_date, sum(amount) from claude_raw.user_cost_report_rows group by 1 order by 1")
        == amounts
    )
    assert loaded.query("select pull_id, sha256 from claude_raw.pulls order by all") == shas
    content = loaded.settings.warehouse_path.read_bytes()
    assert not [one for one in whom if one.encode() in content]


def test_the_stored_rows_are_what_the_stored_pages_say(loaded):
    erase(loaded, somebody(loaded)[1])
    said = sorted(
        (row["actor"]["user_id"], row["amount"])
        for (payload,) in loaded.query("select payload from claude_raw.user_cost_report")
        for row in json.loads(payload)["data"]
    )
    held = loaded.query("select actor_user_id, amount from claude_raw.user_cost_report_rows")
    assert [one[0] for one in said] == sorted(user for user, _ in held)
    assert "erased" in {one[0] for one in said}


def test_a_later_pull_of_the_same_days_does_not_bring_the_person_back(loaded):
    whom = somebody(loaded)
    erase(loaded, whom[1])
    before = loaded.amount()
    received = loaded.query(
        "select sha256 from claude_raw.pulls where endpoint = 'user_cost_report' order by window_start"
    )
    for endpoint in ENDPOINTS:
        outcomes = loaded.land(endpoint, FIRST, LAST)
        assert {str(one.status) for one in outcomes} == {"loaded"}
    assert not [one for one in whom for body in bodies(loaded) if one in body]
    assert loaded.amount() == before
    again = loaded.query(
        "select sha256 from claude_raw.pulls where endpoint = 'user_cost_report' order by pull_sequence desc, window_start"
    )
    assert again[0] in received, "the hash is of the body as it came"
    content = loaded.settings.warehouse_path.read_bytes()
    assert not [one for one in whom if one.encode() in content]


def test_nothing_in_the_list_of_the_forgotten_names_anybody(loaded):
    whom = somebody(loaded)
    erase(loaded, whom[1])
    listed = Forgotten.beside(loaded.settings.warehouse_path).path
    assert not [one for one in whom if one in listed.read_text()]
    assert listed.stat().st_mode & 0o077 == 0


def test_a_person_is_known_by_every_address_they_ever_had_but_not_by_one_that_is_somebody_elses_now(loaded):
    user_id, address, _ = somebody(loaded)
    ((other,),) = loaded.query(
        "select max(actor_user_id) from claude_raw.user_cost_report_rows where actor_user_id <> ?", user_id
    )
    loaded.query(
        "update claude_raw.user_cost_report_rows set actor_email_address = 'old@x.example' "
        "where actor_user_id = ? and activity_date = '2026-11-03'", user_id,
    )  # fmt: skip
    loaded.query("update claude_raw.user_cost_report_rows set actor_email = ? where actor_user_id = ?", address, other)
    with loaded.onelens.warehouse().working_reader() as connection:
        (by_id,) = subjects(connection, user_id, None)
        (by_address,) = subjects(connection, address, None)
        assert subjects(connection, user_id, "globex") == []
    assert by_id.addresses == {"old@x.example"}
    assert by_address.user_ids == {user_id, other}


def test_a_run_killed_before_the_file_is_rewritten_and_a_backup_put_back_are_mended_by_the_next_run(
    loaded, monkeypatch
):
    whom = somebody(loaded)
    backup = loaded.settings.warehouse_path.read_bytes()
    Forgotten.beside(loaded.settings.warehouse_path).add("user", whom[1], "tester", {"acme": whom[:2]})

    def killed(_: Warehouse) -> None:
        raise KeyboardInterrupt

    def is_named() -> bool:
        return any(one.encode() in loaded.settings.warehouse_path.read_bytes() for one in whom)

    assert is_named()
    with monkeypatch.context() as patched:
        patched.setattr(Warehouse, "compact", killed)
        with pytest.raises((KeyboardInterrupt, dg.DagsterExecutionInterruptedError)):
            run_asset(loaded)
    unfinished = "select count(*) > 0 from claude_raw.erasures where erased_at is null"
    assert loaded.query(unfinished) == [(True,)]
    run_asset(loaded)
    assert loaded.query(unfinished) == [(False,)]
    assert not is_named()
    loaded.settings.warehouse_path.write_bytes(backup)
    run_asset(loaded)
    assert not is_named()
    assert loaded.query("select count(*) > 0 from claude_raw.erasures") == [(True,)]


def test_what_was_seen_of_the_running_day_goes_too_and_later_looks_do_not_bring_it_back(make_world, set_now):
    here = make_world({"acme": organization(users=20)})
    set_now("2026-11-20T16:00:00Z")
    kept = "select query, sum(amount), count(*) from claude_raw.watch_amounts {} group by all order by all"

    def look() -> None:
        assert [
            one.error for one in look_at_today(here.settings, here.onelens.warehouse(), here.onelens.watching_client)
        ] == [None]

    look()
    before = here.query(kept.format(""))
    people = here.query(
        "select user_id, any_value(email), any_value(name) from claude_raw.watch_amounts where email is not null "
        "group by all order by sum(amount) desc limit 2"
    )
    here.query(
        "update claude_raw.watch_pages set request_path = concat(request_path, '&user_ids[]=', ?::varchar)",
        people[0][0],
    )
    for whom in people:
        erase(here, whom[1])
    words = [word for whom in people for word in whom]

    def stored() -> str:
        return "".join(
            f"{path} {payload}"
            for path, payload in here.query("select request_path, payload from claude_raw.watch_pages")
        )

    assert here.query(kept.format("")) == before
    assert not [word for word in words if word in stored()]
    look()
    newest = "where look_id = (select arg_max(look_id, look_sequence) from claude_raw.watch_looks)"
    assert here.query(kept.format(newest)) == before, "both have the same id now, and with it the same keys"
    assert not [word for word in words if word in stored()]
    named = here.query(
        "select count(*) from claude_raw.watch_amounts where list_contains(?, email) or list_contains(?, user_id)",
        words,
        words,
    )
    assert named == [(0,)]


def test_an_organisation_that_left_the_settings_goes_as_a_whole_and_the_others_stay(make_world):
    here = make_world({"acme": organization(), "globex": organization("sk-ant-api01-globex", seed=3, name="Globex")})
    for endpoint in ENDPOINTS:
        here.land(endpoint, "2026-11-16", LAST, ("acme", "globex"))
    warehouse = here.onelens.warehouse()
    warehouse.publish()
    Forgotten.beside(warehouse.path).add("organization", "globex", "tester", {"globex": {"globex"}})
    staying = here.query("select pull_id from claude_raw.pulls where organization_id = 'acme' order by all")
    acme = tuple(one for one in here.settings.organizations if one.id == "acme")
    here.settings = here.settings.model_copy(update={"organizations": acme})
    run_asset(here)
    warehouse.publish()  # a copy that lacks days is refused, but for those of an organisation that was erased
    for table in ("pulls", "pages", *(f"{name}_rows" for name in ENDPOINTS)):
        assert {one for (one,) in here.query(f"select distinct organization_id from claude_raw.{table}")} == {"acme"}
    assert here.query("select pull_id from claude_raw.pulls order by all") == staying
    assert here.query("select count(*) from claude_raw.page_parts anti join claude_raw.pulls using (pull_id)") == [(0,)]
    assert here.query("select distinct organization_id, kind from claude_raw.erasures") == [("globex", "organization")]


def test_an_organisation_that_is_in_the_settings_again_is_kept(make_world):
    here = make_world()
    here.land("user_cost_report", LAST)
    listed = Forgotten.beside(here.settings.warehouse_path)
    listed.add("organization", "acme", "tester", {"acme": {"acme"}})
    run_asset(here)
    assert here.query("select count(*) from claude_raw.pulls") == [(1,)]
    listed.reload()
    assert listed.erasures == ()
