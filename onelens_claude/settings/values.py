"""Kinds of values that several sections of the settings have, and why one is refused.

What is here: texts that are a path, a variable's name, a program, an address or an exact amount.
What to add here: a kind of value that a second section needs. What must not go here: a section (each has its module).
"""

from __future__ import annotations

import re
import shlex
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from onelens_claude.api.endpoints import LOOPBACK

EACH = "*"
"""As an organisation or a value: the limit applies to each one."""
KEYS_BEGIN = "sk-ant-"


class Section(BaseModel):
    """Part of the settings file: unknown keys and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def usable_path(value: str) -> str:
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


def _names_a_variable(value: str | None) -> str | None:
    if value and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):  # perhaps the secret itself: it is not shown
        raise ValueError("must be the name of an environment variable, not the secret itself")
    return value


def _is_no_key(value: str) -> str:
    if value.startswith(KEYS_BEGIN):
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


def web_address(value: str, *, show: bool = True) -> str:
    """Return an address that a request may go to; ValueError says what is wrong, without a secret part of it."""
    shown = repr(value) if show else "the value"
    if re.search(r"[\s\x00-\x1f\x7f]", value):
        raise ValueError(f"{shown} has spaces or line breaks, which no address has")
    try:
        parts = urlsplit(value)
        port_is_good = parts.port is None or parts.port > 0
    except ValueError:
        port_is_good = False
    if not port_is_good or not parts.hostname or parts.scheme not in {"https", "http"}:
        raise ValueError(f"{shown} is not an http(s) address")
    if parts.username or parts.password:
        raise ValueError("must have no user name and no password")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError("must be https (http is accepted for loopback addresses only)")
    return value


def exact_amount(value: object, *, may_be_zero: bool = False) -> Decimal:
    """Return dollars and whole cents; a YAML float has lost digits before anyone sees it."""
    if isinstance(value, float):
        raise ValueError('is a float, and money is exact; write it in quotes, such as "25000.00"')  # noqa: TRY004
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError('must be an amount in US dollars in quotes, such as "25000.00"')  # noqa: TRY004
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,2})?", str(value)) or not (Decimal(value) or may_be_zero):
        least = "" if may_be_zero else "above 0 "
        raise ValueError(f'{value!r} is not an amount {least}in US dollars and whole cents, such as "25000.00"')
    return Decimal(value)


Amount = Annotated[Decimal, BeforeValidator(exact_amount)]
"""US dollars of the settings, exact and above 0."""


PathText = Annotated[str, AfterValidator(usable_path)]
Variable = Annotated[str | None, AfterValidator(_names_a_variable)]
KeyFile = Annotated[str, AfterValidator(_is_no_key), AfterValidator(usable_path)]
Command = Annotated[
    tuple[Annotated[str, Field(min_length=1), AfterValidator(_is_no_key)], ...],
    Field(strict=False, min_length=1),
    BeforeValidator(_arguments),
]
