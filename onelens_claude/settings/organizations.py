"""Organisations of the settings file: where their keys are, where they are asked, and why one is refused.

What is here: the keys of `organizations`. What to add here: a key of an organisation.
What must not go here: API keys, which `keys.py` reads when they are used, so a rotated key is used on the next poll.
"""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from onelens_claude.api.endpoints import FIRST_DAY
from onelens_claude.errors import UnreadableKeyError
from onelens_claude.keys import KeySource
from onelens_claude.settings.values import Command, KeyFile, Section, Variable, web_address

if TYPE_CHECKING:
    from collections.abc import Callable


class Organization(Section):
    """One Claude Enterprise organisation, read with its own key."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
    name: Annotated[str, Field(min_length=1)] = ""
    api_key_env: Variable = None
    api_key_file: KeyFile | None = None
    api_key_command: Command | None = None
    next_api_key_env: Variable = None
    next_api_key_file: KeyFile | None = None
    next_api_key_command: Command | None = None
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
