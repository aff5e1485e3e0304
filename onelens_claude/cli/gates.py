"""`--fail-on`: what people spend as an exit code, for whoever starts `daily` or `backfill` from a script.

What is here: the gates and when each is breached. What to add here: another gate.
What must not go here: whether the work itself failed (`pulling.py`), which wins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from onelens_claude.errors import DamagedCopyError, SettingsError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from onelens_claude.settings import Settings

EXIT_BREACHED = 4
GATES = ("budget", "anomaly")
FAIL_ON_OPTION = typer.Option(
    None,
    "--fail-on",
    metavar="GATES",
    help="Exit 4 when a budget is exceeded or this run found a new incident: budget, anomaly or budget,anomaly.",
)


def gates(given: str | None) -> tuple[str, ...]:
    """Return the gates that were asked for; SettingsError names one that there is not."""
    wanted = tuple(one.strip() for one in given.split(",")) if given is not None else ()
    for one in wanted:
        if one not in GATES:
            raise SettingsError(f"--fail-on: {one!r} is no gate; use {', '.join(GATES)}, joined by a comma")
    return wanted


def breaches(settings: Settings, wanted: tuple[str, ...], since: dt.datetime) -> list[str]:
    """Return in words what breaches the gates: a budget's newest period, or an incident first seen since a moment."""
    from onelens_claude.alerts.log import AlertLog
    from onelens_claude.alerts.standing import BUDGETS
    from onelens_claude.warehouse.connections import dicts
    from onelens_claude.warehouse.files import Warehouse

    found: list[str] = []
    warehouse = Warehouse.of(settings)
    if "budget" in wanted and warehouse.serving_path.exists():
        try:
            with warehouse.reader() as connection:
                found += [_in_words(one) for one in dicts(connection, BUDGETS) if one["status"] == "exceeded"]
        except DamagedCopyError as error:  # the work has failed then, which wins
            found.append(str(error))
    if "anomaly" in wanted:
        found += AlertLog(settings.alerts_path).first_seen_since(since, "anomaly")
    return found


def _in_words(budget: Mapping[str, Any]) -> str:
    member = "" if budget["scope"] == "organization" else f" for {budget['scope']} {budget['scope_value']}"
    return (
        f"{budget['organization_id']}: budget {budget['budget_id']}{member} is exceeded: {budget['percent_used']} % "
        f"since {budget['period_start']}"
    )
