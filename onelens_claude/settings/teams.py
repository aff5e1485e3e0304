"""The team map of the settings: who pays for whom, from when to when, and why a row of it is refused.

What is here: the keys of `teams`, reading map files (CSV or YAML), and what is refused within and between rows.
What to add here: a column of the map, a kind of file.
What must not go here: whose day a row decides (`dbt_project/models/intermediate/teams`).
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import yaml
from pydantic import Discriminator, Field, Tag

from onelens_claude.errors import SettingsError
from onelens_claude.settings.values import PathText, Section

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

UNMAPPED = "(unmapped)"
UNATTRIBUTED = "(unattributed)"
_COLUMNS = ("match", "team", "cost_center", "valid_from", "valid_to", "percent")
_LARGEST_FILE = 50_000_000
_WHOLE = Decimal(100)
_LONGEST_NAME = 200
_ROWS_SHOWN = 5


class TeamFile(Section):
    """A file with rows of the map; a relative path starts at the settings file's folder."""

    file: PathText


class InlineTeamRow(Section):
    """A row of the map in the settings file itself."""

    match: str
    team: str
    cost_center: str | int | None = None
    valid_from: str | dt.date | None = None
    valid_to: str | dt.date | None = None
    percent: str | int | float | None = None


def _kind(entry: Any) -> str:
    return "file" if isinstance(entry, TeamFile) or (isinstance(entry, dict) and "file" in entry) else "row"


TeamEntry = Annotated[
    Annotated[TeamFile, Tag("file")] | Annotated[InlineTeamRow, Tag("row")],
    Discriminator(_kind),
]
TeamEntries = Annotated[tuple[TeamEntry, ...], Field(strict=False)]


class Place(NamedTuple):
    """Where a row stands, for messages."""

    source: str
    row: str

    def __str__(self) -> str:
        """Return it as the beginning of a message."""
        return f"{self.source}: {self.row}"


class TeamRow(NamedTuple):
    """A checked row of the map; `match` is an address or a pattern in lower case, or a user id as it is."""

    match: str
    team: str
    cost_center: str | None
    valid_from: dt.date
    valid_to: dt.date
    percent: Decimal
    place: Place

    @property
    def is_pattern(self) -> bool:
        """Whether `match` stands for many."""
        return "*" in self.match


def read_team_map(entries: Iterable[TeamFile | InlineTeamRow], folder: Path) -> tuple[TeamRow, ...]:
    """Return the rows of every file and entry; SettingsError names the file and the lines of what is refused."""
    rows: list[TeamRow] = []
    for number, entry in enumerate(entries):
        if isinstance(entry, TeamFile):
            path = folder / Path(entry.file).expanduser()
            rows.extend(_row(values, Place(str(path), f"line {line}")) for line, values in _read_file(path))
        else:
            values = {name: "" if value is None else str(value) for name, value in entry.model_dump().items()}
            rows.append(_row(values, Place("teams", f"[{number}]")))
    _refuse_contradictions(rows)
    return tuple(rows)


def _read_file(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield line and values of every row of a file."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        raise SettingsError(f"{path}: there is no such team file; correct `teams` or put the file there") from None
    except OSError as error:
        raise SettingsError(f"{path}: the team file cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: the team file is not UTF-8; a spreadsheet saves it as `CSV UTF-8`") from None
    if len(content) > _LARGEST_FILE:
        raise SettingsError(f"{path}: is too large; a team file has {_LARGEST_FILE:,} bytes at most")
    return _read_yaml(path, text) if path.suffix.lower() in {".yaml", ".yml"} else _read_csv(path, text)


def _read_csv(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, str]]]:
    header_line = text.split("\n", 1)[0]
    delimiter = next((one for one in ",;\t" if one in header_line), ",")  # spreadsheets write that of their country
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        _check_columns(header, Place(str(path), "line 1"))
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) > len(header):
                raise SettingsError(
                    f"{path}: line {reader.line_num}: has {len(cells)} values for {len(header)} columns; "
                    "put a value with a comma in double quotes"
                )
            yield reader.line_num, dict(zip(header, cells, strict=False))
    except csv.Error as error:
        raise SettingsError(f"{path}: line {reader.line_num}: is not valid CSV: {error}") from None


def _read_yaml(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield the rows as they are written: a percent keeps its digits, and each row has its line."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # 50,000 rows take half a minute without libyaml
    try:
        node = yaml.compose(text, Loader=loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise SettingsError(f"{path}: {where}is not valid YAML") from None
    if isinstance(node, yaml.MappingNode) and [key.value for key, _ in node.value] == ["teams"]:
        node = node.value[0][1]
    if not isinstance(node, yaml.SequenceNode):
        raise SettingsError(f"{path}: must be a list of rows, each with match and team")
    for item in node.value:
        line = item.start_mark.line + 1
        pairs = item.value if isinstance(item, yaml.MappingNode) else []
        if not pairs or not all(isinstance(part, yaml.ScalarNode) for pair in pairs for part in pair):
            raise SettingsError(f"{path}: line {line}: must be a row with match and team")
        _check_columns([key.value for key, _ in pairs], Place(str(path), f"line {line}"))
        yield line, {key.value: "" if value.tag.endswith(":null") else value.value for key, value in pairs}


def _check_columns(names: list[str], place: Place) -> None:
    unknown = [name for name in names if name not in _COLUMNS]
    if unknown:
        raise SettingsError(f"{place}: unknown column {unknown[0]!r}; columns are {', '.join(_COLUMNS)}")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise SettingsError(f"{place}: column {twice[0]} is given twice")
    missing = [name for name in ("match", "team") if name not in names]
    if missing:
        raise SettingsError(f"{place}: column {missing[0]} is missing; columns are {', '.join(_COLUMNS)}")


def _row(values: Mapping[str, str], place: Place) -> TeamRow:
    given = {name: value.strip() for name, value in values.items()}
    for name in ("match", "team"):
        if not given.get(name):
            raise SettingsError(f"{place}: {name} is empty; every row needs one")
    for name, value in given.items():
        if len(value) > _LONGEST_NAME or not value.isprintable():
            raise SettingsError(f"{place}: {name} must be printable text of {_LONGEST_NAME} characters at most")
    match, team = given["match"], given["team"]
    if team in {UNMAPPED, UNATTRIBUTED}:
        raise SettingsError(f"{place}: team {team} is kept for cost that no row decides; use another name")
    valid_from = _date(given, "valid_from", dt.date.min, place)
    valid_to = _date(given, "valid_to", dt.date.max, place)
    if valid_from > valid_to:
        raise SettingsError(f"{place}: valid_from {valid_from} is after valid_to {valid_to}, which is the last day")
    return TeamRow(
        match.lower() if "@" in match or "*" in match else match,
        team,
        given.get("cost_center") or None,
        valid_from,
        valid_to,
        _percent(given.get("percent") or "100", place),
        place,
    )


def _date(given: Mapping[str, str], name: str, default: dt.date, place: Place) -> dt.date:
    text = given.get(name)
    if not text:
        return default
    try:
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
            raise ValueError  # noqa: TRY301 - one refusal for both
        return dt.date.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"{place}: {name} {text!r} is not a date such as 2026-03-01") from None


def _percent(text: str, place: Place) -> Decimal:
    number = text.removesuffix("%").strip()
    if not re.fullmatch(r"\d{1,3}(\.\d{1,4})?", number, re.ASCII) or not 0 < Decimal(number) <= _WHOLE:
        raise SettingsError(
            f"{place}: percent {text!r} is not a number above 0 and up to 100 with four decimals at most, such as 12.5"
        )
    return Decimal(number)


def _refuse_contradictions(rows: Iterable[TeamRow]) -> None:
    """Refuse a match that at some time has two rows that are no split, or a split that is not whole."""
    of_match = defaultdict(list)
    for row in rows:
        of_match[row.match].append(row)
    for match, group in of_match.items():
        if len(group) == 1 and group[0].percent == _WHOLE:
            continue
        # what is valid changes only where a row begins or has ended
        changes = defaultdict(list)
        for row in group:
            changes[row.valid_from.toordinal()].append((row, row.percent))
            changes[row.valid_to.toordinal() + 1].append((row, -row.percent))
        valid: dict[Place, TeamRow] = {}
        total = Decimal(0)
        for day in sorted(changes):
            for row, percent in changes[day]:
                total += percent
                if percent > 0:
                    valid[row.place] = row
                else:
                    del valid[row.place]
            if valid and total != _WHOLE:
                raise SettingsError(_contradiction(match, dt.date.fromordinal(day), list(valid.values()), total))


def _contradiction(match: str, day: dt.date, valid: list[TeamRow], total: Decimal) -> str:
    since = "" if day == dt.date.min else f" from {day}"
    places = " and ".join(str(row.place) for row in valid[:_ROWS_SHOWN])
    if total > _WHOLE and any(row.percent == _WHOLE for row in valid):
        return (
            f"{places}: {match} has overlapping rows{since}; end one with valid_to before the next begins, "
            "or give each a percent so that they add up to 100"
        )
    return f"{places}: the percents of {match}{since} add up to {total.normalize():f}, not to 100"
