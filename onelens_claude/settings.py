"""onelens.yaml as typed, validated settings.

What is here: every key of the file, its type, its default and why a value is refused. What to add here: a new key.
What must not go here: API keys, which `keys.py` reads when they are used, so a rotated key is used on the next poll.
"""

from __future__ import annotations

import calendar
import datetime as dt
import os
import re
import shlex
from collections.abc import Callable, Hashable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from onelens_claude.api.endpoints import ENDPOINTS, FIRST_DAY, Endpoint
from onelens_claude.budgets import EACH, Amount, Budget
from onelens_claude.channels import Channel, check_channels, web_address
from onelens_claude.clock import utc_now
from onelens_claude.errors import SettingsError, UnreadableKeyError
from onelens_claude.folders import Beside, beside
from onelens_claude.keys import KeySource
from onelens_claude.paths import EXAMPLE_SETTINGS, IS_CHECKOUT, command, working_folder

_LARGEST_FILE = 1_000_000
"""Bytes: thousands of organisations and budgets."""
_EXAMPLE = EXAMPLE_SETTINGS.name if IS_CHECKOUT else EXAMPLE_SETTINGS
_ALERT_LOG = "onelens_alerts.duckdb"
HOW_TO_START = (
    f"Copy {_EXAMPLE} to onelens.yaml and name your organisation there, "
    f"or run `{command('demo')}` to see everything on made-up data."
)


def config_path() -> Path:
    """Return where the settings file is looked for: `ONELENS_CONFIG`, else the current folder, else the checkout."""
    given = os.environ.get("ONELENS_CONFIG")
    if given:
        try:
            return Path(_usable_path(given)).expanduser().absolute()
        except ValueError as error:
            raise SettingsError(f"environment variable ONELENS_CONFIG: {error}") from None
    here = Path.cwd() / "onelens.yaml"
    return here if here.exists() else working_folder() / here.name


def _usable_path(value: str) -> str:
    """Return the text of a path as it is; ValueError where no file can have it."""
    if "\0" in value:
        raise ValueError("has a NUL character, which no path can have")
    try:
        path = Path(value).expanduser()
    except RuntimeError:
        raise ValueError(f"{value}: its `~` names a user that is not on this machine; write ./~ for the name") from None
    if not path.name:
        raise ValueError(f"{value!r} names no file")
    return value


_PathText = Annotated[str, AfterValidator(_usable_path)]


def _names_a_variable(value: str | None) -> str | None:
    if value and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):  # perhaps the key itself: it is not shown
        raise ValueError("must be the name of an environment variable, not the key itself")
    return value


def _is_no_key(value: str) -> str:
    if value.startswith(_KEYS_BEGIN):
        raise ValueError("must say where the key is, not be the key itself")
    if "\0" in value:
        raise ValueError("has a NUL character")
    return value


def _arguments(value: Any) -> Any:
    """Split a command as a shell would; nothing else of a shell happens."""
    try:
        return shlex.split(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("a quote is not closed") from None


_KEYS_BEGIN = "sk-ant-"
_KEY_OF_ANYBODY = re.compile(rf"{_KEYS_BEGIN}[\w-]+")
_Variable = Annotated[str | None, AfterValidator(_names_a_variable)]
_KeyFile = Annotated[str, AfterValidator(_is_no_key), AfterValidator(_usable_path)]
_Command = Annotated[
    tuple[Annotated[str, Field(min_length=1), AfterValidator(_is_no_key)], ...],
    Field(strict=False, min_length=1),
    BeforeValidator(_arguments),
]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Organization(_Section):
    """One Claude Enterprise organisation, read with its own key."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
    name: Annotated[str, Field(min_length=1)] = ""
    api_key_env: _Variable = None
    api_key_file: _KeyFile | None = None
    api_key_command: _Command | None = None
    next_api_key_env: _Variable = None
    next_api_key_file: _KeyFile | None = None
    next_api_key_command: _Command | None = None
    base_url: str = "https://api.anthropic.com"
    plan: Literal["usage", "seat"] = "usage"
    backfill_start: dt.date = FIRST_DAY

    @field_validator("base_url")
    @classmethod
    def _https_except_loopback(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("must be scheme, host and port only")
        return web_address(value).rstrip("/")

    @field_validator("backfill_start")
    @classmethod
    def _not_before_first_day(cls, value: dt.date) -> dt.date:
        if value < FIRST_DAY:
            raise ValueError(f"{value} is before {FIRST_DAY}, the first day for which the API has data")
        return value

    @model_validator(mode="after")
    def _one_key_source(self) -> Organization:
        if len(self._given("")) != 1:
            raise ValueError("give exactly one of api_key_env, api_key_file and api_key_command")
        if len(self._given("next_")) > 1:
            raise ValueError("give one of next_api_key_env, next_api_key_file and next_api_key_command, or none")
        return self

    def _given(self, prefix: str) -> dict[str, Any]:
        kinds = ("env", "file", "command")
        return {kind: value for kind in kinds if (value := getattr(self, f"{prefix}api_key_{kind}"))}

    @property
    def display_name(self) -> str:
        """Name for people; the id where none is given."""
        return self.name or self.id

    @property
    def key_sources(self) -> list[KeySource]:
        """Where its keys are, in the order in which they are tried: during a rotation, the next one first."""
        return [
            KeySource(f"organizations.{self.id}.{prefix}api_key_{kind}", **{kind: value})
            for prefix in ("next_", "")
            for kind, value in self._given(prefix).items()
        ]

    def api_key(self) -> str:
        """Read the present key, now. An UnreadableKeyError shows no part of it."""
        return self.key_sources[-1].read()

    @property
    def next_api_key(self) -> Callable[[], str] | None:
        """What reads the next key; null where no rotation is under way."""
        *following, _ = self.key_sources
        return following[0].read if following else None

    def check_keys(self) -> None:
        """Raise UnreadableKeyError unless at least one of its keys can be read."""
        *others, present = self.key_sources
        for source in others:
            with suppress(UnreadableKeyError):
                source.check()
                return
        present.check()

    def with_paths_from(self, folder: Path) -> Organization:
        """Return the same with key files and programs that do not depend on the current folder."""
        update: dict[str, Any] = {}
        for prefix in ("", "next_"):
            for kind, value in self._given(prefix).items():
                if kind == "file":
                    update[f"{prefix}api_key_file"] = str(folder / Path(value).expanduser())
                if kind == "command" and "/" in value[0]:  # else it is looked for on PATH
                    update[f"{prefix}api_key_command"] = (str(folder / Path(value[0]).expanduser()), *value[1:])
        return self.model_copy(update=update)


class WarehouseSettings(_Section):
    """Where the two database files live; relative paths start at the settings file's folder."""

    path: _PathText = "data/onelens.duckdb"
    serving_path: _PathText = "data/onelens_serving.duckdb"


class Polling(_Section):
    """How the API is asked."""

    requests_per_minute: Annotated[int, Field(ge=1, le=100_000)] = 60
    revision_days: Annotated[int, Field(ge=1, le=90)] = 30
    attempts: Annotated[int, Field(ge=1, le=20)] = 6
    timeout_seconds: Annotated[int, Field(ge=1, le=600)] = 60


class Retention(_Section):
    """What is kept: so many calendar months of days (0: all), and pulls that history does not need so many days."""

    months: Annotated[int, Field(ge=0, le=1200)] = 12
    superseded_days: Annotated[int, Field(ge=1)] = 90

    def first_kept_day(self, today: dt.date) -> dt.date | None:
        """Return the same day of the month so many months ago, or that month's last; null where all is kept."""
        if not self.months:
            return None
        year, month = divmod(today.year * 12 + today.month - 1 - self.months, 12)
        return dt.date(year, month + 1, min(today.day, calendar.monthrange(year, month + 1)[1]))


class Privacy(_Section):
    """Reserved: addresses are shown as the API gives them."""

    emails: Literal["clear"] = "clear"


class Anomalies(_Section):
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


class Watch(_Section):
    """Looking at the running day; 0 hours is off."""

    hours: Annotated[int, Field(ge=0, le=24)] = 0


class ReportSettings(_Section):
    """What the page shows of their own."""

    logo: _PathText | None = None


class Settings(_Section):
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
            path = Path(_usable_path(given or value)).expanduser()
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
    content = _read(source)
    if not isinstance(content, dict):
        raise SettingsError(f"{source}: contains no settings. {HOW_TO_START}")
    if "source" in content:
        raise SettingsError(f"{source}: source: unknown key")
    try:
        settings = Settings.model_validate({**content, "source": source})
    except ValidationError as error:
        reasons = _KEY_OF_ANYBODY.sub("[key]", "\n".join(f"{source}: {line}" for line in _reasons(error, content)))
        raise SettingsError(reasons) from None
    try:
        _check_use(settings, needs_keys=needs_keys)
    except SettingsError as error:
        raise SettingsError(f"{source}: {error}") from None
    return settings


def _read(source: Path) -> Any:
    """Return what the settings file holds; SettingsError if it is missing, unreadable, too large or not valid YAML."""
    try:
        with source.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)  # a device has no size and may have no end
        if len(content) > _LARGEST_FILE:
            raise SettingsError(f"{source}: is too large; a settings file has {_LARGEST_FILE:,} bytes at most")
        text = content.decode()
    except FileNotFoundError:
        raise SettingsError(f"There is no settings file at {source}. {HOW_TO_START}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{source}: cannot be read: {error}") from None
    try:
        return yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 - a subclass of SafeLoader
    except yaml.YAMLError as error:
        raise SettingsError(f"{source}: is not valid YAML: {_yaml_reason(error)}") from None
    except RecursionError:
        raise SettingsError(f"{source}: is nested too deeply to be a settings file") from None


def _yaml_reason(error: yaml.YAMLError) -> str:
    """Return where and why, without quoting the file."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "it contains characters that YAML forbids"
    return f"line {mark.line + 1}: {problem}" if mark else problem


def _check_use(settings: Settings, *, needs_keys: bool) -> None:
    """Refuse what becomes apparent only when the settings are used."""
    _check_paths(settings.warehouse_path, settings.serving_path)
    if needs_keys:
        for organization in settings.organizations:
            organization.check_keys()
        for channel in settings.alerts:
            channel.check_secrets()


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


_RESERVED = {"privacy.emails"}
_LISTS = {"organizations", "budgets", "alerts"}
_WORDING = {
    "extra_forbidden": "unknown key",
    "missing": "required, but not given",
    "too_short": "is empty; at least one is needed",
}


def _reasons(error: ValidationError, content: dict[str, Any]) -> list[str]:
    """Turn a validation error into one `key: reason` line per fault, without secret values."""
    lines = []
    faults = error.errors(include_url=False)
    for fault in faults:
        where = fault["loc"]
        if fault["type"] == "too_short" and any(one["loc"][:-1][: len(where)] == where for one in faults):
            continue  # its members were refused one by one
        names = [str(part) for part in where]
        key = _dotted(names, content)
        if key in _RESERVED and fault["type"] in {"literal_error", "too_long"}:
            reason = "only the default is supported in this version; remove the key"
        else:
            reason = _WORDING.get(fault["type"], fault["msg"].removeprefix("Value error, "))
        lines.append(f"{key}: {reason}" if key else reason)
    return lines


def _dotted(names: list[str], content: dict[str, Any]) -> str:
    """Return `organizations.acme.plan` for `("organizations", 0, "plan")`."""
    if len(names) > 1 and names[0] in _LISTS and names[1].isdigit():
        entry = content[names[0]][int(names[1])]
        label = entry.get("id") if isinstance(entry, dict) else None
        names = [names[0], str(label) if label else f"[{names[1]}]", *names[2:]]
    return ".".join(names)


class _UniqueKeyLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice and says where a value is impossible."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except ValueError:  # 30 February, or more digits than Python reads; the value is not quoted
            problem = "there is no such date or number"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                continue  # the base class refuses it
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)
