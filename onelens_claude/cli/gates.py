"""`--fail-on`: what people spend as an exit code, for whoever starts `daily` or `backfill` from a script.

What is here: the gates and when each is breached. What to add here: another gate.
What must not go here: whether the work itself failed (`pulling.py`), which wins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from onelens_claude.alerts.log import AlertLog
from onelens_claude.errors import DamagedCopyError, SettingsError
from onelens_claude.warehouse.files import Warehouse

if TYPE_CHECKING:
    import datetime as dt

    from onelens_claude.settings import Settings

EXIT_BREACHED = 4
GATES = ("budget", "anomaly")
FAIL_ON_OPTION = typer.Option(
    None,
    "--fail-on",
    metavar="GATES",
    help="Exit 4 when a budget is exceeded or this run found a new incident: budget, anomaly or budget,anomaly.",
)
_EXCEEDED = """
    select organization_id || ': budget ' || budget_id
        || case when scope = 'organization' then '' else ' for ' || scope || ' ' || scope_value end
        || ' is exceeded: ' || percent_used || ' % since ' || period_start
    from marts.budget_status
    qualify status = 'exceeded' and period_start = max(period_start) over (partition by organization_id, budget_id)
    order by all"""


def gates(given: str | None) -> tuple[str, ...]:
    """Return the gates that were asked for; SettingsError names one that there is not."""
    wanted = tuple(one.strip() for one in given.split(",")) if given is not None else ()
    for one in wanted:
        if one not in GATES:
            raise SettingsError(f"--fail-on: {one!r} is no gate; use {', '.join(GATES)}, joined by a comma")
    return wanted


def breaches(settings: Settings, wanted: tuple[str, ...], since: dt.datetime) -> list[str]:
    """Return in words what breaches the gates: a budget's newest period, or an incident first seen since a moment."""
    found: list[str] = []
    warehouse = Warehouse.of(settings)
    if "budget" in wanted and warehouse.serving_path.exists():
        try:
            with warehouse.reader() as connection:
                found += [words for (words,) in connection.execute(_EXCEEDED).fetchall()]
        except DamagedCopyError as error:  # the work has failed then, which wins
            found.append(str(error))
    if "anomaly" in wanted:
        found += AlertLog(settings.alerts_path).first_seen_since(since, "anomaly")
    return found
