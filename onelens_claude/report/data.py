"""Everything the page shows, read once from the marts of a serving copy.

What is here: the one answer that the page, its CSV files and its tests share. What to add here: a fact about the whole
page. What must not go here: reading one kind of rows (`spend.py`, `tables.py`), looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import duckdb

from onelens_claude import __version__
from onelens_claude.errors import SettingsError, WarehouseError
from onelens_claude.report.look import colours, product_name
from onelens_claude.report.spend import prepare, spend
from onelens_claude.report.tables import SOURCES, read_table
from onelens_claude.visible import visible

if TYPE_CHECKING:
    import datetime as dt

    from onelens_claude.settings import Settings

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True)
class Report:
    """What the page is made of: JSON throughout, with money as integers or as text."""

    about: dict[str, Any]
    spend: dict[str, Any]
    tables: dict[str, Any]


def read_report(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    *,
    now: dt.datetime,
    organization_id: str | None = None,
    is_redacted: bool = False,
) -> Report:
    """Read a serving copy; a SettingsError names an organisation that is not in it, a WarehouseError an unbuilt one."""
    try:
        prepare(connection, None if organization_id is None else [organization_id])
    except duckdb.CatalogException as error:
        raise WarehouseError(
            f"{settings.serving_path}: its marts are not built: {str(error).splitlines()[0]}; "
            "run `onelens-claude daily`, which builds and publishes them"
        ) from None
    if organization_id is not None and not connection.execute("from reported_organizations").fetchone():
        known = connection.execute("select organization_id from marts.dim_claude_organizations order by all").fetchall()
        raise SettingsError(
            f"--org: the marts have no organisation {organization_id!r}; "
            f"they have {', '.join(row[0] for row in known) or 'none'}"
        )
    spent, people = spend(connection, is_redacted=is_redacted)
    tables = {name: read_table(connection, name, people) for name in SOURCES}
    organizations = tables["organizations"]["rows"]
    names = [one["name"] for one in organizations]
    about = {
        "title": " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names) or "No organisation yet",
        "built_at": now.strftime("%Y-%m-%d %H:%M"),
        "version": __version__,
        "is_demo": all((urlsplit(one.base_url).hostname or "") in _LOOPBACK for one in settings.organizations),
        "is_redacted": is_redacted,
        "dagster_url": settings.dagster_url,
        "product_names": [visible(product_name(product)) for product in spent["products"]],
        "model_names": [visible(model) for model in spent["models"]],
        "colours": colours(spent["products"], spent["models"]),
    }
    organization_numbers = {one["organization_id"]: number for number, one in enumerate(organizations)}
    spent["people"] = {
        "organization": [organization_numbers.get(one.organization_id) for one in people.persons],
        "id": [None if is_redacted else one.user_id for one in people.persons],
        "kind": [one.kind for one in people.persons],
        "label": [one.label for one in people.persons],
        "detail": [one.detail for one in people.persons],
        "deleted": [int(one.is_deleted) for one in people.persons],
    }
    return Report(about, spent, tables)
