"""What the settings say, as tables that the models read: organisations, budgets, anomalies, holidays and teams.

What is here: writing them, before each build. What to add here: another part of the settings that a model needs.
What must not go here: the tables' definitions (`raw_tables.py`), what the settings mean (`settings/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onelens_claude.clock import naive_utc, utc_now
from onelens_claude.settings.privacy import CLEAR
from onelens_claude.warehouse.connections import transaction

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import duckdb

    from onelens_claude.settings import Anomalies, Organization, Settings
    from onelens_claude.settings.teams import TeamRow


def store_settings(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Make the tables what the settings say, in one transaction."""
    with transaction(connection):
        _register_organizations(connection, settings.organizations, settings.polling.revision_days)
        _register_budgets(connection, settings)
        _register_anomalies(connection, settings.anomalies)
        _register_teams(connection, _as_stored(settings))


def _register_organizations(
    connection: duckdb.DuckDBPyConnection, organizations: Iterable[Organization], revision_days: int
) -> None:
    """Write the organisations' settings that the models need, where they differ from what is stored."""
    for organization in organizations:
        wanted = (organization.id, organization.display_name, organization.plan, revision_days)
        stored = connection.execute(
            "select organization_id, name, plan, revision_days from claude_raw.organizations where organization_id = ?",
            [organization.id],
        ).fetchone()
        if stored != wanted:
            connection.execute(
                "insert or replace into claude_raw.organizations values (?, ?, ?, ?, ?)",
                [*wanted, naive_utc(utc_now())],
            )


def _register_budgets(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Make `claude_raw.budgets` what the settings say; budgets that they no longer have go.

    An address is stored as people's are: where those are pseudonyms, each organisation has its own.
    """
    pseudonyms = settings.pseudonyms() if any("@" in (one.value or "") for one in settings.budgets) else CLEAR
    connection.execute("delete from claude_raw.budgets")
    for one in settings.budgets:
        value, addresses = one.value, None
        if value and one.scope == "user" and "@" in value and pseudonyms.emails != "clear":
            addresses = {each.id: pseudonyms.address(each.id, value) for each in settings.organizations}
            value = pseudonyms.address(one.organization, value)
        connection.execute(
            "insert into claude_raw.budgets values (?, ?, ?, ?, ?, ?, ?, ?, ?::map(varchar, varchar))",
            [
                *(one.id, one.organization, one.scope, value, one.period, one.limit),
                *(list(one.warn_percent), one.forecast, addresses),
            ],
        )


def _register_anomalies(connection: duckdb.DuckDBPyConnection, anomalies: Anomalies) -> None:
    connection.execute("delete from claude_raw.anomaly_settings")
    connection.execute(
        "insert into claude_raw.anomaly_settings values (?, ?, ?)",
        [anomalies.sensitivity, anomalies.floor_usd, anomalies.floor_tokens],
    )
    connection.execute("delete from claude_raw.holidays")
    for day in anomalies.holidays:
        connection.execute("insert into claude_raw.holidays values (?)", [day])


def _as_stored(settings: Settings) -> list[TeamRow]:
    """Return the team map with addresses as people's are stored: as pseudonyms, a row for each organisation's own."""
    pseudonyms = settings.pseudonyms() if any("@" in row.match for row in settings.team_map) else CLEAR
    if pseudonyms.emails == "clear":
        return list(settings.team_map)
    return [
        row._replace(match=match)
        for row in settings.team_map
        for match in (
            [pseudonyms.address(one.id, row.match) or row.match for one in settings.organizations]
            if "@" in row.match
            else [row.match]
        )
    ]


def _register_teams(connection: duckdb.DuckDBPyConnection, rows: Sequence[TeamRow]) -> None:
    """Make `claude_raw.team_map` what the settings say; as columns, because a large map has 50,000 rows."""
    connection.execute("delete from claude_raw.team_map")
    if not rows:
        return
    matches, teams, cost_centers, first_days, last_days, percents, _ = map(list, zip(*rows, strict=True))
    connection.execute(
        """insert into claude_raw.team_map
        select
            unnest(range(1, ?)), unnest(?::varchar[]), unnest(?::boolean[]), unnest(?::varchar[]),
            unnest(?::varchar[]), unnest(?::date[]), unnest(?::date[]), unnest(?::decimal(7, 4)[])""",
        [
            *(len(rows) + 1, matches, [row.is_pattern for row in rows], teams),
            *(cost_centers, first_days, last_days, percents),
        ],
    )
