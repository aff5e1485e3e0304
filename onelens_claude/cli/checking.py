"""`check`: three calls per organisation that show whether its key can read what we need."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import typer

from onelens_claude import errors
from onelens_claude.alerts.key_ages import key_warnings
from onelens_claude.api.endpoints import ENDPOINTS, Endpoint, Family, newest_possible_day
from onelens_claude.api.windows import Window
from onelens_claude.cli.options import ORG_OPTION
from onelens_claude.cli.output import JSON_OPTION, note, print_json, stdout
from onelens_claude.clock import utc_now
from onelens_claude.ledger.status import without_place
from onelens_claude.orchestration.resources import Onelens
from onelens_claude.settings import Organization, Settings, load_settings
from onelens_claude.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onelens_claude.api.client import AnalyticsClient, Page

_CHECKED = ("summaries", "users", "user_cost_report")
EXIT_CHECK_FAILED = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """One validation call."""

    organization_id: str
    endpoint: str
    passed: bool
    reason: str
    request_id: str | None = None
    api_organization_id: str | None = None
    """Which organisation answered, where the API says so."""


def check(
    org: str | None = ORG_OPTION,
    as_json: bool = JSON_OPTION,
) -> None:
    """Try the connection: three calls per organisation, each with its verdict. Exit 3 if one fails."""
    settings = load_settings()
    organizations = [settings.organization(org)] if org else list(settings.organizations)
    clients = [_quick_client(settings, organization) for organization in organizations]
    verdicts = [verdict for client in clients for verdict in _verdicts(client)]
    verdicts += _read_twice(verdicts)
    good = all(verdict.passed for verdict in verdicts)
    warnings = key_warnings(organizations)
    if as_json:
        warnings += [client.next_key_refusal for client in clients if client.next_key_refusal]
        print_json({"ok": good, "checks": [asdict(verdict) for verdict in verdicts], "warnings": warnings})
    else:
        print_verdicts(verdicts)
        for warning in [*warnings, *_rotations(organizations, clients, verdicts)]:
            note(warning)
    if not good:
        raise typer.Exit(EXIT_CHECK_FAILED)


def check_organization(settings: Settings, organization: Organization) -> list[Verdict]:
    """Make the three calls in the documented order; the connection is good if all pass."""
    return list(_verdicts(_quick_client(settings, organization)))


def _quick_client(settings: Settings, organization: Organization) -> AnalyticsClient:
    quick = settings.model_copy(update={"polling": settings.polling.model_copy(update={"attempts": 2})})
    return Onelens(quick).client(organization)


def print_verdicts(verdicts: list[Verdict]) -> None:
    """Print one line per call."""
    for verdict in verdicts:
        mark, style = ("ok  ", "green") if verdict.passed else ("FAIL", "bold red")
        stdout.print(mark, style=style, end=" ")
        reason = without_place(verdict.reason, verdict.organization_id, verdict.endpoint)
        stdout.print(visible(f"{verdict.organization_id}: {verdict.endpoint}: {reason}"), soft_wrap=True)


def _rotations(
    organizations: list[Organization], clients: list[AnalyticsClient], verdicts: list[Verdict]
) -> Iterator[str]:
    """Say of each next key that was good for all calls how the rotation ends; a refused one has told its reason."""
    for organization, client in zip(organizations, clients, strict=True):
        *following, present = organization.key_sources
        of_it = [verdict for verdict in verdicts if verdict.organization_id == organization.id]
        if following and not client.next_key_refusal and all(verdict.passed for verdict in of_it):
            yield (
                f"{organization.id}: the next API key is good. To end the rotation, name it in the place of "
                f"{present.setting}, remove {following[0].setting}, and revoke the old key."
            )


def _verdicts(client: AnalyticsClient) -> Iterator[Verdict]:
    day = newest_possible_day(utc_now(), Family.ENGAGEMENT)
    for name in _CHECKED:
        endpoint = ENDPOINTS[name]
        try:
            day, page = _call(client, endpoint, day)
        except errors.OnelensError as error:
            yield Verdict(client.organization_id, name, False, str(error), getattr(error, "request_id", None))
        else:
            yield Verdict(
                client.organization_id, name, True, f"answered for {day}", page.request_id, page.api_organization_id
            )


def _read_twice(verdicts: list[Verdict]) -> Iterator[Verdict]:
    """Refuse entries whose keys answer for an organisation that an earlier entry reads: all would be counted twice."""
    read_by: dict[str, str] = {}
    told = set()
    for verdict in verdicts:
        api_id, entry = verdict.api_organization_id, verdict.organization_id
        if api_id is None or (first := read_by.setdefault(api_id, entry)) == entry or entry in told:
            continue
        told.add(entry)
        reason = (
            f"its key answers for organisation {api_id}, which {first} reads already; everything would be counted "
            "twice. Give each Claude organisation one entry in the settings"
        )
        yield Verdict(entry, verdict.endpoint, False, reason, verdict.request_id, api_id)


def _call(client: AnalyticsClient, endpoint: Endpoint, day: dt.date) -> tuple[dt.date, Page]:
    """Ask for one page of `day`, or of the newest day the API says it has."""
    window = Window(day, day + dt.timedelta(days=1))
    try:
        page = next(client.pages(endpoint, endpoint.queries[0], window))
    except errors.NotYetAvailableError as error:
        if error.latest_day is None or error.latest_day >= day:
            raise
        return _call(client, endpoint, error.latest_day)
    return day, page
