"""The settings file itself: where it is, reading it, and its faults in words.

What is here: YAML, and validation errors as `key: reason` lines. What to add here: wording of a fault.
What must not go here: what the keys mean (each section's module).
"""

from __future__ import annotations

import os
import re
from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from onelens_claude.errors import SettingsError
from onelens_claude.paths import EXAMPLE_SETTINGS, IS_CHECKOUT, command, working_folder
from onelens_claude.settings.values import KEYS_BEGIN, usable_path

if TYPE_CHECKING:
    from pydantic import ValidationError

_LARGEST_FILE = 1_000_000
"""Bytes: thousands of organisations and budgets."""
_EXAMPLE = EXAMPLE_SETTINGS.name if IS_CHECKOUT else EXAMPLE_SETTINGS
HOW_TO_START = (
    f"Copy {_EXAMPLE} to onelens.yaml and name your organisation there, "
    f"or run `{command('demo')}` to see everything on made-up data."
)


_KEY_OF_ANYBODY = re.compile(rf"{KEYS_BEGIN}[\w-]+")


def config_path() -> Path:
    """Return where the settings file is looked for: `ONELENS_CONFIG`, else the current folder, else the checkout."""
    given = os.environ.get("ONELENS_CONFIG")
    if given:
        try:
            return Path(usable_path(given)).expanduser().absolute()
        except ValueError as error:
            raise SettingsError(f"environment variable ONELENS_CONFIG: {error}") from None
    here = Path.cwd() / "onelens.yaml"
    return here if here.exists() else working_folder() / here.name


def read_file(source: Path) -> Any:
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


_LISTS = {"organizations", "budgets", "alerts", "teams"}
_WORDING = {
    "extra_forbidden": "unknown key",
    "missing": "required, but not given",
    "too_short": "is empty; at least one is needed",
}


def reasons(error: ValidationError, content: dict[str, Any]) -> list[str]:
    """Turn a validation error into one `key: reason` line per fault, without secret values."""
    lines = []
    faults = error.errors(include_url=False)
    for fault in faults:
        where = fault["loc"]
        if fault["type"] == "too_short" and any(one["loc"][:-1][: len(where)] == where for one in faults):
            continue  # its members were refused one by one
        names = [str(part) for part in where]
        key = _dotted(names, content)
        reason = _WORDING.get(fault["type"], fault["msg"].removeprefix("Value error, "))
        lines.append(f"{key}: {reason}" if key else reason)
    return [_KEY_OF_ANYBODY.sub("[key]", line) for line in lines]


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
