"""Channels of the settings file: where alerts go, when they are held back, and why a channel is refused.

What is here: the keys of `alerts`. What to add here: a key, a kind of channel, an event.
What must not go here: sending (`alerts`), and secrets: they are read from their variables when something is sent.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, field_validator, model_validator

from onelens_claude.api.endpoints import LOOPBACK
from onelens_claude.errors import SettingsError
from onelens_claude.settings.values import EACH, Section, Variable, exact_amount, web_address

Event = Literal["budget", "anomaly", "data_quality", "run_failure", "key_rotation"]
_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
_QUIET = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d) (\S+)")
_ADDRESS = r"[^@\s<>,;\"]+@[^@\s<>,;\"]+"


def _address(value: str) -> str:
    if not re.fullmatch(_ADDRESS, value):
        raise ValueError(f"{value!r} is not a mail address")
    return value


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A span of wall-clock time of each day, in one time zone; the end is not in it."""

    start: dt.time
    end: dt.time
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str) -> QuietHours:
        """Read `20:00-07:00 Europe/Berlin`; ValueError says what is wrong."""
        found = _QUIET.fullmatch(text)
        if not found:
            raise ValueError(f"{text!r} is not a span such as '20:00-07:00 Europe/Berlin'")
        start, end = dt.time(int(found[1]), int(found[2])), dt.time(int(found[3]), int(found[4]))
        if start == end:
            raise ValueError(f"{text!r} begins when it ends; remove the key to hold nothing back")
        try:
            zone = ZoneInfo(found[5])
        except (KeyError, OSError, ValueError):  # no such zone, or not the name of one
            raise ValueError(f"there is no time zone {found[5]!r}; use a name such as Europe/Berlin or UTC") from None
        return cls(start, end, zone)

    def contains(self, moment: dt.datetime) -> bool:
        """Tell whether it is quiet at a moment: what the clocks there show counts, before and after they change."""
        local = moment.astimezone(self.zone).time()
        if self.start < self.end:
            return self.start <= local < self.end
        return local >= self.start or local < self.end


class Smtp(Section):
    """The server that takes mail."""

    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]+$")]
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    starttls: bool = True
    username_env: Variable = None
    password_env: Variable = None

    @model_validator(mode="after")
    def _login_is_whole_and_hidden(self) -> Smtp:
        if (self.username_env is None) != (self.password_env is None):
            raise ValueError("give both of username_env and password_env, or neither")
        if self.username_env and not self.starttls and self.host not in LOOPBACK:
            raise ValueError("a login needs starttls: true, or the password would be readable on its way")
        return self


class Channel(Section):
    """One place that alerts go to, and which of them."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
    kind: Literal["slack_webhook", "webhook", "email", "log"]
    url_env: Variable = None
    secret_env: Variable = None
    smtp: Smtp | None = None
    sender: Annotated[str | None, Field(alias="from")] = None
    to: Annotated[tuple[str, ...], Field(strict=False)] = ()
    events: Annotated[tuple[Event, ...], Field(strict=False, min_length=1)] = (
        "budget",
        "anomaly",
        "data_quality",
        "run_failure",
        "key_rotation",
    )
    organizations: Annotated[tuple[str, ...], Field(strict=False, min_length=1)] = (EACH,)
    min_impact_usd: Annotated[Decimal, BeforeValidator(partial(exact_amount, may_be_zero=True))] = Decimal(0)
    quiet_hours: str | None = None

    @field_validator("sender")
    @classmethod
    def _sender_is_an_address(cls, value: str | None) -> str | None:
        return value and _address(value)

    @field_validator("to")
    @classmethod
    def _recipients_are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_address, value))

    @field_validator("quiet_hours")
    @classmethod
    def _quiet_hours_are_a_span(cls, value: str | None) -> str | None:
        if value is not None:
            QuietHours.parse(value)
        return value

    @model_validator(mode="after")
    def _keys_of_its_kind(self) -> Channel:
        given = {
            "url_env": bool(self.url_env),
            "secret_env": bool(self.secret_env),
            "smtp": self.smtp is not None,
            "from": self.sender is not None,
            "to": bool(self.to),
        }
        needed, possible = _KEYS[self.kind]
        for key, is_given in given.items():
            if key in needed and not is_given:
                raise ValueError(f"kind {self.kind} needs {key}")
            if is_given and key not in needed | possible:
                raise ValueError(f"kind {self.kind} takes no {key}")
        return self

    def is_quiet(self, moment: dt.datetime) -> bool:
        """Tell whether what there is to send is held back at this moment."""
        return self.quiet_hours is not None and QuietHours.parse(self.quiet_hours).contains(moment)

    def secret(self, key: str) -> str:
        """Read the variable of `url_env`, `smtp.password_env` and the like, now; SettingsError where it has nothing."""
        section: Any = self.smtp if key.startswith("smtp.") else self
        variable = getattr(section, key.removeprefix("smtp."))
        value = os.environ.get(variable, "").strip()
        if not value:
            raise SettingsError(f"alerts.{self.id}.{key}: environment variable {variable} is not set or empty")
        if key == "url_env":
            try:
                web_address(value, show=False)  # the address of a Slack webhook is a secret
            except ValueError as error:
                raise SettingsError(f"alerts.{self.id}.{key}: environment variable {variable}: {error}") from None
        return value

    def check_secrets(self) -> None:
        """Raise SettingsError unless every variable that the channel names holds something usable."""
        if self.url_env:
            self.secret("url_env")
        if self.secret_env:
            self.secret("secret_env")
        if self.smtp and self.smtp.username_env:
            self.secret("smtp.username_env")
            self.secret("smtp.password_env")


_KEYS: dict[str, tuple[set[str], set[str]]] = {
    "slack_webhook": ({"url_env"}, set()),
    "webhook": ({"url_env"}, {"secret_env"}),
    "email": ({"smtp", "from", "to"}, set()),
    "log": (set(), set()),
}
"""What each kind needs, and what it may have besides."""


def check_channels(channels: tuple[Channel, ...], organizations: list[str]) -> None:
    """Raise ValueError where two channels share an id, or one names an organisation that is not known."""
    ids = [channel.id for channel in channels]
    if twice := sorted({one for one in ids if ids.count(one) > 1}):
        raise ValueError(f"alerts: id {', '.join(twice)} is given twice")
    for channel in channels:
        for one in channel.organizations:
            if one not in {EACH, *organizations}:
                raise ValueError(
                    f"alerts.{channel.id}.organizations: no organisation {one!r}; "
                    f"known organisations: {', '.join(organizations)}; '{EACH}' is each one"
                )
