"""Which days a backfill covers, and which requests it would make."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import TYPE_CHECKING

from onelens_claude.api.endpoints import Family, first_available_day, newest_possible_day
from onelens_claude.clock import utc_now
from onelens_claude.errors import SettingsError
from onelens_claude.ledger.backfills import unfinished
from onelens_claude.ledger.planning import PlannedEndpoint, plan_backfill
from onelens_claude.warehouse.files import Warehouse

if TYPE_CHECKING:
    from onelens_claude.ledger.backfills import Backfill
    from onelens_claude.settings import Organization, Settings

_WORTH_SAYING = 0.5
"""Minutes."""


def organizations_of(settings: Settings, org: str | None) -> list[Organization]:
    """Return the one organisation asked for, or all. Raises SettingsError."""
    return [settings.organization(org)] if org else list(settings.organizations)


def backfill_range(settings: Settings, first: str | None, last: str | None, org: str | None) -> tuple[dt.date, dt.date]:
    """Return the days, both inclusive; by default everything the API and `backfill_start` allow.

    Raises SettingsError if the options are not a range of days that the API has.
    """
    now = utc_now()
    oldest, newest = first_available_day(now.date()), newest_possible_day(now, Family.COST)
    begin = min(settings.first_day(organization.id) for organization in organizations_of(settings, org))
    first_kept = settings.first_kept_day or oldest
    start = _date("--from", first) if first else max(oldest, min(begin, newest))
    end = _date("--to", last) if last else newest
    if last and end > newest:
        raise SettingsError(f"--to {end}: that day is not over yet (UTC); the newest possible is {newest}")
    if first and start > newest:
        raise SettingsError(f"--from {start}: that day is not over yet (UTC); the newest possible is {newest}")
    for option, day in (("--from", start), ("--to", end)):
        if day < oldest:
            raise SettingsError(f"{option} {day}: the API has nothing before {oldest}")
        if day < first_kept:
            raise SettingsError(
                f"{option} {day}: retention.months in {settings.source} keeps nothing before {first_kept}"
            )
    if first and start > end:
        raise SettingsError(f"--from {start} is after --to {end}")
    if start > end:
        raise SettingsError(f"--to {end} is before backfill_start, {start}; give --from for earlier days")
    return start, end


def interrupted(settings: Settings, first: str | None, last: str | None, org: str | None) -> Backfill | None:
    """Return the same backfill if an earlier command began it and did not finish."""
    asked = (first or "", last or "", org or "")
    found = unfinished(settings.warehouse_path.parent)
    return next((one for one in found if (one.first, one.last, one.organization) == asked), None)


def backfill_plan(
    settings: Settings, days: tuple[dt.date, dt.date], org: str | None, *, pulled_since: dt.datetime | None
) -> list[PlannedEndpoint]:
    """Return the requests a backfill would make, estimated from what is known so far."""
    with Warehouse.of(settings).newest_reader() as connection:
        return plan_backfill(
            connection,
            organizations_of(settings, org),
            settings.endpoints(),
            days,
            settings.polling.requests_per_minute,
            pulled_since=pulled_since,
        )


def in_words(planned: list[PlannedEndpoint]) -> str:
    """Return requests and minutes; organisations are pulled in parallel, each at its own rate limit."""
    if not any(one.requests for one in planned):
        return "everything is pulled already"
    least = "" if all(one.is_exact for one in planned) else "at least "
    minutes: Counter[str] = Counter()
    for one in planned:
        minutes[one.organization_id] += round(60 * one.minutes)
    longest = max(minutes.values(), default=0) / 60
    time = f", {least}{longest:.1f} minutes" if longest >= _WORTH_SAYING else ""
    return f"{least}{sum(one.requests for one in planned)} requests{time}"


def _date(option: str, text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"{option} {text!r} is not a date; write YYYY-MM-DD") from None
