"""onelens.yaml as typed, validated settings.

What is here: the file as a whole and its shorter sections, and what is refused between sections.
What to add here: a section; one of more than a screen is a module of its own. What must not go here: secrets.
"""

from __future__ import annotations

import calendar
import datetime as dt
import os
import re
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator

from onelens_claude.api.endpoints import ENDPOINTS, Endpoint
from onelens_claude.clock import utc_now
from onelens_claude.errors import SettingsError
from onelens_claude.folders import Beside, beside
from onelens_claude.settings.budgets import Budget
from onelens_claude.settings.channels import Channel, check_channels
from onelens_claude.settings.organizations import Organization
from onelens_claude.settings.privacy import Privacy, Pseudonyms
from onelens_claude.settings.reading import HOW_TO_START, config_path, read_file, reasons
from onelens_claude.settings.teams import UNATTRIBUTED, UNMAPPED, TeamEntries, TeamRow, read_team_map
from onelens_claude.settings.values import EACH, Amount, PathText, Section, usable_path

_ALERT_LOG = "onelens_alerts.duckdb"


class WarehouseSettings(Section):
    """Where the two database files live; relative paths start at the settings file's folder."""

    path: PathText = "data/onelens.duckdb"
    serving_path: PathText = "data/onelens_serving.duckdb"


class Polling(Section):
    """How the API is asked."""

    requests_per_minute: Annotated[int, Field(ge=1, le=100_000)] = 60
    revision_days: Annotated[int, Field(ge=1, le=90)] = 30
    attempts: Annotated[int, Field(ge=1, le=20)] = 6
    timeout_seconds: Annotated[int, Field(ge=1, le=600)] = 60


class Retention(Section):
    """What is kept: so many calendar months of days (0: all), and pulls that history does not need so many days."""

    months: Annotated[int, Field(ge=0, le=1200)] = 12
    superseded_days: Annotated[int, Field(ge=1)] = 90

    def first_kept_day(self, today: dt.date) -> dt.date | None:
        """Return the same day of the month so many months ago, or that month's last; null where all is kept."""
        if not self.months:
            return None
        year, month = divmod(today.year * 12 + today.month - 1 - self.months, 12)
        return dt.date(year, month + 1, min(today.day, calendar.monthrange(year, month + 1)[1]))


class Anomalies(Section):
    """What is worth a message, and which days are no usual ones."""

    sensitivity: Literal["low", "balanced", "high"] = "balanced"
    floor_usd: Amount = Decimal("20.00")
    floor_tokens: Annotated[int, Field(ge=1)] = 10_000_000
    holidays: Annotated[tuple[dt.date, ...], Field(strict=False)] = ()

    @field_validator("holidays")
    @classmethod
    def _each_day_once(cls, value: tuple[dt.date, ...]) -> tuple[dt.date, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a day is given twice")
        return tuple(sorted(value))


class Watch(Section):
    """Looking at the running day; 0 hours is off."""

    hours: Annotated[int, Field(ge=0, le=24)] = 0


class ReportSettings(Section):
    """What the page shows of their own."""

    logo: PathText | None = None


class Settings(Section):
    """The whole settings file."""

    warehouse: WarehouseSettings = WarehouseSettings()
    organizations: Annotated[tuple[Organization, ...], Field(min_length=1, strict=False)]
    polling: Polling = Polling()
    optional_endpoints: Annotated[tuple[Literal["plugins", "artifacts", "usage"], ...], Field(strict=False)] = ()
    retention: Retention = Retention()
    budgets: Annotated[tuple[Budget, ...], Field(strict=False)] = ()
    anomalies: Anomalies = Anomalies()
    watch: Watch = Watch()
    alerts: Annotated[tuple[Channel, ...], Field(strict=False)] = ()
    teams: TeamEntries = ()
    dagster_url: str | None = None
    report: ReportSettings = ReportSettings()
    privacy: Privacy = Privacy()
    source: Annotated[Path, Field(exclude=True, default_factory=config_path)]

    @model_validator(mode="after")
    def _unique_organizations(self) -> Settings:
        ids = [organization.id for organization in self.organizations]
        twice = sorted({one for one in ids if ids.count(one) > 1})
        if twice:
            raise ValueError(f"organizations: id {', '.join(twice)} is given twice")
        return self

    @model_validator(mode="after")
    def _budgets_of_known_organizations(self) -> Settings:
        ids = [budget.id for budget in self.budgets]
        twice = sorted({one for one in ids if ids.count(one) > 1})
        if twice:
            raise ValueError(f"budgets: id {', '.join(twice)} is given twice")
        known = [organization.id for organization in self.organizations]
        for budget in self.budgets:
            if budget.organization not in {EACH, *known}:
                raise ValueError(
                    f"budgets.{budget.id}.organization: no organisation {budget.organization!r}; "
                    f"known organisations: {', '.join(known)}; '{EACH}' is each one"
                )
        return self

    @model_validator(mode="after")
    def _no_addresses_where_none_are_kept(self) -> Settings:
        for budget in self.budgets if self.privacy.emails == "drop" else ():
            if budget.scope == "user" and "@" in (budget.value or ""):
                raise ValueError(
                    f"budgets.{budget.id}.value: privacy.emails is drop, so no address is kept that this could match; "
                    "give the user id"
                )
        return self

    @model_validator(mode="after")
    def _alerts_of_known_organizations(self) -> Settings:
        check_channels(self.alerts, [organization.id for organization in self.organizations])
        return self

    @field_validator("dagster_url")
    @classmethod
    def _ui_has_an_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or re.search(r"[\s<>|\"']", value):
            raise ValueError(f"{value!r} is not an http(s) address")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("must be scheme, host, port and path only")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _key_files_start_here(self) -> Settings:
        """Make relative paths absolute: like the others, those of keys start at the settings file's folder."""
        placed = tuple(one.with_paths_from(self.source.parent) for one in self.organizations)
        object.__setattr__(self, "organizations", placed)
        return self

    def pseudonyms(self) -> Pseudonyms:
        """Return what is stored of people. Raises SettingsError where the key is missing or short."""
        try:
            return self.privacy.pseudonyms()
        except SettingsError as error:
            raise SettingsError(f"{self.source}: {error}") from None

    @property
    def warehouse_path(self) -> Path:
        """The working database; `ONELENS_WAREHOUSE` overrides the file."""
        return self._path("ONELENS_WAREHOUSE", self.warehouse.path)

    @property
    def serving_path(self) -> Path:
        """The read-only copy; `ONELENS_SERVING` overrides the file."""
        return self._path("ONELENS_SERVING", self.warehouse.serving_path)

    @property
    def alerts_path(self) -> Path:
        """The alert log, beside the warehouse."""
        return self.warehouse_path.with_name(_ALERT_LOG)

    @property
    def logo_path(self) -> Path | None:
        """The picture for the page; a relative path starts at the settings file's folder."""
        return self.source.parent / Path(self.report.logo).expanduser() if self.report.logo else None

    @cached_property
    def team_map(self) -> tuple[TeamRow, ...]:
        """The rows of `teams` and of its files, checked; SettingsError names the lines of what is refused."""
        return read_team_map(self.teams, self.source.parent)

    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints to pull: the nine standard ones, and the optional ones that are switched on."""
        return [
            endpoint
            for endpoint in ENDPOINTS.values()
            if not endpoint.is_optional or endpoint.name in self.optional_endpoints
        ]

    @property
    def first_kept_day(self) -> dt.date | None:
        """The oldest day that `retention.months` keeps today; null where it keeps all."""
        return self.retention.first_kept_day(utc_now().date())

    def first_day(self, organization_id: str) -> dt.date:
        """Return the oldest day that is wanted of an organisation: not before `backfill_start`, nor expired."""
        return max(self.organization(organization_id).backfill_start, self.first_kept_day or dt.date.min)

    def organization(self, organization_id: str) -> Organization:
        """Return one organisation; SettingsError names the known ones."""
        for organization in self.organizations:
            if organization.id == organization_id:
                return organization
        known = ", ".join(organization.id for organization in self.organizations)
        raise SettingsError(f"{self.source}: no organisation {organization_id!r}; known organisations: {known}")

    def _path(self, variable: str, value: str) -> Path:
        given = os.environ.get(variable)
        try:
            path = Path(usable_path(given or value)).expanduser()
        except ValueError as error:
            raise SettingsError(f"environment variable {variable}: {error}") from None
        base = Path.cwd() if given else self.source.parent
        return path if path.is_absolute() else (base / path).resolve()


def load_settings(path: Path | None = None, *, needs_keys: bool = True) -> Settings:
    """Read and check the settings file and, unless nothing will be asked, that every organisation's key can be read.

    Raises SettingsError that names the file, the key in it and the reason.
    """
    source = path or config_path()
    if os.environ.get("ONELENS_ENCRYPTION_KEY"):
        raise SettingsError(
            "environment variable ONELENS_ENCRYPTION_KEY: encryption is not part of this version; "
            "unset it, because nothing would be encrypted"
        )
    content = read_file(source)
    if not isinstance(content, dict):
        raise SettingsError(f"{source}: contains no settings. {HOW_TO_START}")
    if "source" in content:
        raise SettingsError(f"{source}: source: unknown key")
    try:
        settings = Settings.model_validate({**content, "source": source})
    except ValidationError as error:
        raise SettingsError("\n".join(f"{source}: {line}" for line in reasons(error, content))) from None
    try:
        _check_use(settings, needs_keys=needs_keys)
    except SettingsError as error:
        raise SettingsError(f"{source}: {error}") from None
    return settings


def _check_use(settings: Settings, *, needs_keys: bool) -> None:
    """Refuse what becomes apparent only when the settings are used."""
    _check_paths(settings.warehouse_path, settings.serving_path)
    _check_teams(settings)
    if needs_keys:
        settings.privacy.pseudonyms()
        for organization in settings.organizations:
            organization.check_keys()
        for channel in settings.alerts:
            channel.check_secrets()


def _check_teams(settings: Settings) -> None:
    """Refuse a team map that contradicts itself, and a budget on a team that no row names."""
    emails = settings.privacy.emails
    for row in settings.team_map if emails != "clear" else ():
        if emails == "drop" and ("@" in row.match or row.is_pattern):
            raise SettingsError(
                f"{row.place}: privacy.emails is drop, so no address is kept that {row.match!r} could match; "
                "give user ids"
            )
        if row.is_pattern and not row.match.startswith("*@"):
            raise SettingsError(
                f"{row.place}: privacy.emails is pseudonym, so of an address only its domain can be matched; write "
                "`*@` and the domain, whole addresses or user ids"
            )
    teams = sorted({row.team for row in settings.team_map})
    known = {EACH, UNMAPPED, UNATTRIBUTED, *teams}
    for budget in settings.budgets:
        if budget.scope == "team" and budget.value not in known:
            raise SettingsError(
                f"budgets.{budget.id}.value: no row of `teams` names a team {budget.value!r}; "
                f"known teams: {', '.join(teams) or 'none'}"
            )


def _check_paths(working: Path, serving: Path) -> None:
    """Refuse files that would overwrite each other, or that DuckDB cannot keep a write-ahead log of."""
    for key, path in (("path", working), ("serving_path", serving)):
        if "?" in str(path):
            raise SettingsError(
                f"warehouse.{key}: {path} has a `?`, after which DuckDB reads options; name a file elsewhere"
            )
        if path.name.startswith(_ALERT_LOG):
            raise SettingsError(f"warehouse.{key}: {path} is a name that is kept for the alert log")
    if working.resolve() == serving.resolve():
        raise SettingsError("warehouse.serving_path: must differ from warehouse.path")
    for key, path, other in (("serving_path", serving, working), ("path", working, serving)):
        if path.resolve() in {beside(other.resolve(), ending) for ending in get_args(Beside)}:
            raise SettingsError(f"warehouse.{key}: {path} is a name that is kept for what belongs to {other}")
