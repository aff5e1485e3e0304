"""`watch`: what the running day has cost so far, one line per organisation, and who runs away.

What is here: when to look again, and how what was seen is shown. What to add here: another column of it.
What must not go here: looking (`watch/looking.py`), the run (`orchestration/assets/watch.py`).
"""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import typer

from onelens_claude.cli.options import ORG_OPTION
from onelens_claude.cli.output import JSON_OPTION, note, print_json, print_table, stdout
from onelens_claude.cli.ranges import organizations_of
from onelens_claude.clock import utc_now
from onelens_claude.errors import SettingsError
from onelens_claude.settings import load_settings
from onelens_claude.visible import visible
from onelens_claude.warehouse.files import Warehouse
from onelens_claude.watch.keeping import LastLook, Standing, last_look, standing
from onelens_claude.watch.looking import look_at_minutes, turns_of

if TYPE_CHECKING:
    from onelens_claude.settings import Organization, Settings

_WORTH_WAITING = 60.0
"""Seconds: cron comes at the full hour, a moment before the turn does."""
_LOOK_AT_THE_CLOCK_EVERY = 60.0
"""Seconds: the clock may be set."""


@dataclass(frozen=True, slots=True)
class _Seen:
    organization_id: str
    next_at: dt.datetime
    last_look: LastLook | None
    standing: Standing | None


def watch(
    once: bool = typer.Option(False, "--once", help="Look once and end, for cron. [default: every hour until Ctrl-C]"),
    org: str | None = ORG_OPTION,
    minutes: str | None = typer.Option(
        None,
        "--minutes",
        metavar="HOUR",
        help="Show one hour minute by minute, such as 2026-11-20T09 (UTC), with --org.",
    ),
    as_json: bool = JSON_OPTION,
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Log every step to stderr."),
) -> None:
    """Look at what the running day has cost so far, and tell whose agent runs away.

    At most 3 requests an hour per organisation, and 12 while its day is above its band; an organisation whose turn it
    is not keeps what was seen last. `watch.hours` of the settings lets the Dagster daemon do the same.
    """
    settings = load_settings()
    organizations = organizations_of(settings, org)
    if minutes:
        _show_minutes(settings, organizations, minutes, as_json=as_json)
        return
    while True:
        is_good = look(settings, organizations, as_json=as_json, verbose=verbose)
        if once:
            if not is_good:
                raise typer.Exit(1)
            return
        next_at = min(turns_of(settings, one).next_at() for one in organizations)
        note(f"Next look at {next_at:%Y-%m-%d %H:%M} UTC.")
        _sleep_until(next_at)


def look(
    settings: Settings, organizations: list[Organization], *, as_json: bool = False, verbose: bool = False
) -> bool:
    """Look at whose turn it is, and print how each day stands; tell whether each was seen when last looked at."""
    is_good = _look(settings, organizations, verbose=verbose)
    seen = _seen(settings, organizations)
    if as_json:
        print_json([_plain(one) for one in seen])
    else:
        for one in seen:
            _print(one)
    return is_good and all(one.last_look and not one.last_look.error_type for one in seen)


def _show_minutes(settings: Settings, organizations: list[Organization], text: str, *, as_json: bool) -> None:
    """Print what the products and models of one organisation cost in each minute of an hour."""
    try:
        hour = dt.datetime.strptime(text, "%Y-%m-%dT%H").replace(tzinfo=dt.UTC)
    except ValueError:
        raise SettingsError(f"--minutes {text!r} is not an hour; write YYYY-MM-DDTHH, in UTC") from None
    if len(organizations) > 1:
        raise SettingsError("--minutes needs one organisation; name it with --org")
    if hour > utc_now():
        raise SettingsError(f"--minutes {text}: that hour has not begun yet (UTC)")
    from onelens_claude.orchestration.resources import Onelens

    onelens = Onelens(settings)
    seen = look_at_minutes(settings, onelens.warehouse(), onelens.watching_client, organizations[0], hour)
    columns = ["minute", "product", "model", "amount_usd"]
    rows = [(f"{one.starting_at:%H:%M}", one.product, one.model, one.amount * Decimal("0.01")) for one in seen]
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        print_table(columns, rows, title=f"{organizations[0].id} {hour:%Y-%m-%d %H:00} UTC")


def _look(settings: Settings, organizations: list[Organization], *, verbose: bool) -> bool:
    """Run a look if it is anybody's turn, or is in a moment; tell whether the run succeeded."""
    left = min((turns_of(settings, one).next_at() - utc_now()).total_seconds() for one in organizations)
    if left > _WORTH_WAITING:
        return True
    if left > 0:
        note(f"The next look is due in {left:.0f} s.")
        time.sleep(left)
    import dagster as dg

    from onelens_claude.cli.runs import run_job
    from onelens_claude.orchestration.assets.watch import WatchConfig

    config = dg.RunConfig(ops={"watch": WatchConfig(organizations=[one.id for one in organizations])})
    result = run_job("watch_job", settings, config=config, verbose=verbose)
    for failure in result.failures:
        note(f"failure: {failure}")
    return result.success


def _seen(settings: Settings, organizations: list[Organization]) -> list[_Seen]:
    with Warehouse.of(settings).newest_reader() as connection:
        return [
            _Seen(
                one.id,
                turns_of(settings, one).next_at(),
                last_look(connection, one.id) if connection else None,
                standing(connection, one.id) if connection else None,
            )
            for one in organizations
        ]


def _print(seen: _Seen) -> None:
    """Print one line per organisation, and one per person who runs away."""
    look, stands = seen.last_look, seen.standing
    next_at = f"next look at {seen.next_at:%H:%M} UTC"
    if look and look.error_message:
        stdout.print(visible(f"{look.error_message} ({next_at})"), soft_wrap=True)
    elif look and not stands:
        line = f"{seen.organization_id}: seen, but no mart is built yet, or the day is pulled"
        stdout.print(visible(line), soft_wrap=True)
    elif not look:
        stdout.print(visible(f"{seen.organization_id}: not looked at yet; {next_at}"), soft_wrap=True)
    if stands:
        stdout.print(visible(f"{seen.organization_id}: {stands.in_words()}"), soft_wrap=True)
        for runaway in stands.runaways:
            stdout.print(visible(f"  runaway: {runaway.reason}"), soft_wrap=True)


def _plain(seen: _Seen) -> dict[str, Any]:
    look, stands = seen.last_look, seen.standing
    return {
        "organization_id": seen.organization_id,
        "next_at": seen.next_at,
        "looked_at": look and look.looked_at,
        "error_type": look and look.error_type,
        "error": look and look.error_message,
        "today": asdict(stands) if stands else None,
    }


def _sleep_until(moment: dt.datetime) -> None:
    while (left := (moment - utc_now()).total_seconds()) > 0:
        time.sleep(min(left, _LOOK_AT_THE_CLOCK_EVERY))
