"""What the settings say, as tables: written anew where it differs, and whole or not at all."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from onelens_claude.settings import Settings
from onelens_claude.warehouse.raw_tables import create_raw_tables
from onelens_claude.warehouse.settings_tables import store_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = {"api_key_env": "KEY", "base_url": "http://127.0.0.1:1"}
ORGANIZATIONS = "select organization_id, name, plan, revision_days from claude_raw.organizations order by all"


def settings(*organizations: dict[str, Any], revision_days: int = 30, budgets: Any = (), **more: Any) -> Settings:
    return Settings.model_validate(
        {
            "organizations": [KEY | one for one in organizations],
            "polling": {"revision_days": revision_days},
            "budgets": list(budgets),
            **more,
        }
    )


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as memory:
        create_raw_tables(memory)
        yield memory


def test_organisations_are_as_the_settings_say_and_one_without_a_change_keeps_its_row(
    connection: duckdb.DuckDBPyConnection, set_now: Callable[[str], None]
) -> None:
    set_now("2026-11-20T12:00:00Z")
    store_settings(connection, settings({"id": "acme"}, {"id": "globex", "name": "Globex", "plan": "seat"}))
    assert connection.execute(ORGANIZATIONS).fetchall() == [
        ("acme", "acme", "usage", 30),
        ("globex", "Globex", "seat", 30),
    ]
    set_now("2026-11-21T12:00:00Z")
    store_settings(connection, settings({"id": "acme"}, {"id": "globex", "name": "Globex", "plan": "usage"}))
    assert connection.execute(ORGANIZATIONS).fetchall()[1] == ("globex", "Globex", "usage", 30)
    written = "select organization_id, configured_at::date::varchar from claude_raw.organizations order by all"
    assert connection.execute(written).fetchall() == [("acme", "2026-11-20"), ("globex", "2026-11-21")]


def test_an_organisation_that_the_settings_drop_keeps_the_row_that_its_days_are_read_with(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    store_settings(connection, settings({"id": "acme", "plan": "seat"}, {"id": "globex"}))
    store_settings(connection, settings({"id": "globex"}, revision_days=10))
    assert connection.execute(ORGANIZATIONS).fetchall() == [
        ("acme", "acme", "seat", 30),
        ("globex", "globex", "usage", 10),
    ]


def test_settings_that_cannot_be_stored_whole_leave_both_tables_as_they_were(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    budget = {"id": "b", "organization": "*", "limit_usd": "0.10"}
    store_settings(connection, settings({"id": "acme"}, budgets=[budget]))
    wanted = settings({"id": "acme"}, {"id": "globex"}, budgets=[budget | {"limit_usd": "5"}])
    twice = wanted.model_copy(update={"budgets": wanted.budgets * 2})
    with pytest.raises(duckdb.ConstraintException):
        store_settings(connection, twice)
    assert connection.execute(ORGANIZATIONS).fetchall() == [("acme", "acme", "usage", 30)]
    assert connection.execute("select limit_usd from claude_raw.budgets").fetchall() == [(Decimal("0.10"),)]


def test_a_team_map_names_people_as_they_are_stored(
    connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONELENS_PSEUDONYM_KEY", "k" * 32)
    rows = [{"match": match, "team": "Lab"} for match in ("Ana@X.example", "*@x.example", "user_1", "*")]
    wanted = settings({"id": "acme"}, {"id": "globex"}, teams=rows, privacy={"emails": "pseudonym"})
    hidden = wanted.pseudonyms()
    store_settings(connection, wanted)
    stored = connection.execute("select match, is_pattern from claude_raw.team_map order by row_number").fetchall()
    assert stored == [
        *((hidden.address(one, "ana@x.example"), False) for one in ("acme", "globex")),
        *((hidden.address(one, "*@x.example"), True) for one in ("acme", "globex")),
        ("user_1", False),
        ("*", True),
    ]
    assert "x.example" not in str(stored)
