"""A team map is read from CSV, YAML and the settings, and is refused with file and lines where it contradicts itself.

What belongs here: reading and refusing. What does not: whose day a row decides (`tests/dbt_project/test_teams.py`).
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from onelens_claude.errors import SettingsError
from onelens_claude.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from onelens_claude.settings.teams import TeamRow

    Read = Callable[..., tuple[TeamRow, ...]]

HEADER = "match,team,cost_center,valid_from,valid_to,percent\n"
ALWAYS = (dt.date.min, dt.date.max)


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    monkeypatch.setenv("ACME_KEY", "secret")

    def write_and_read(
        content: str | bytes, name: str = "teams.csv", teams: str = "", more: str = ""
    ) -> tuple[TeamRow, ...]:
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        settings = tmp_path / "onelens.yaml"
        listed = teams or f"[{{file: {name}}}]"
        settings.write_text(f"organizations: [{{id: acme, api_key_env: ACME_KEY}}]\nteams: {listed}\n{more}")
        return load_settings(settings).team_map

    return write_and_read


def values(rows: tuple[TeamRow, ...]) -> list[tuple[Any, ...]]:
    return [row[:-1] for row in rows]


def test_a_csv_file_with_a_byte_order_mark_and_windows_line_ends_is_read(read: Read) -> None:
    content = HEADER + 'user_01A,Lab,,,,\n\nAda@Acme.example,"Research, Basel",4711,2026-03-01,2026-06-30,100\n'
    rows = read(b"\xef\xbb\xbf" + content.replace("\n", "\r\n").encode())
    assert values(rows) == [
        ("user_01A", "Lab", None, *ALWAYS, Decimal(100)),
        ("ada@acme.example", "Research, Basel", "4711", dt.date(2026, 3, 1), dt.date(2026, 6, 30), Decimal(100)),
    ]
    assert [row.place.row for row in rows] == ["line 2", "line 4"]


def test_a_spreadsheet_of_another_country_separates_by_semicolons(read: Read) -> None:
    assert values(read("team;match;percent\nLab;a@x.example;100 %\n")) == [("a@x.example", "Lab", None, *ALWAYS, 100)]


def test_yaml_and_rows_of_the_settings_mean_the_same_as_csv(read: Read) -> None:
    yaml_rows = read(
        "- {match: a@x.example, team: Lab, valid_from: 2026-03-01, percent: 33.3, cost_center: 0815}\n"
        "- {match: a@x.example, team: Ops, valid_from: 2026-03-01, percent: 66.7}\n"
        "- match: '*@x.example'\n  team: Rest\n",
        name="teams.yaml",
        teams="[{file: teams.yaml}, {match: '*', team: All, valid_to: 2026-12-31, cost_center: 12}]",
    )
    first = dt.date(2026, 3, 1)
    assert values(yaml_rows) == [
        ("a@x.example", "Lab", "0815", first, dt.date.max, Decimal("33.3")),
        ("a@x.example", "Ops", None, first, dt.date.max, Decimal("66.7")),
        ("*@x.example", "Rest", None, *ALWAYS, 100),
        ("*", "All", "12", dt.date.min, dt.date(2026, 12, 31), 100),
    ]
    assert [str(row.place).rsplit("/", 1)[-1] for row in yaml_rows] == [
        "teams.yaml: line 1",
        "teams.yaml: line 2",
        "teams.yaml: line 3",
        "teams: [1]",
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("match,team,colour\na,b,c\n", "teams.csv: line 1: unknown column 'colour'; columns are match, team,"),
        ("match,match,team\n", "teams.csv: line 1: column match is given twice"),
        ("match\na\n", "teams.csv: line 1: column team is missing"),
        ("", "teams.csv: line 1: column match is missing"),
        (HEADER + ",Lab,,,,\n", "teams.csv: line 2: match is empty"),
        (HEADER + "a,,,,,\n", "teams.csv: line 2: team is empty"),
        (HEADER + "a,(unmapped),,,,\n", "teams.csv: line 2: team (unmapped) is kept for"),
        (HEADER + "a,Lab, Basel,,,,,\n", "teams.csv: line 2: has 8 values for 6 columns"),
        (HEADER + 'a,"Lab,,,,\n', "teams.csv: line 2: is not valid CSV"),
        (HEADER + "a,L\x1b[1mab,,,,\n", "teams.csv: line 2: team must be printable text"),
        (HEADER + "a,Lab,,2026-02-30,,\n", "teams.csv: line 2: valid_from '2026-02-30' is not a date"),
        (HEADER + "a,Lab,,,31.12.2026,\n", "teams.csv: line 2: valid_to '31.12.2026' is not a date"),
        (HEADER + "a,Lab,,2026-03-02,2026-03-01,\n", "line 2: valid_from 2026-03-02 is after valid_to 2026-03-01"),
        (HEADER + "a,Lab,,,,0\n", "teams.csv: line 2: percent '0' is not a number above 0"),
        (HEADER + "a,Lab,,,,100.5\n", "teams.csv: line 2: percent '100.5' is not a number above 0"),
        (HEADER + "a,Lab,,,,33.33333\n", "line 2: percent '33.33333' is not a number above 0 and up to 100 with four"),
        (HEADER + "a,Lab,,,,40\n", "teams.csv: line 2: the percents of a add up to 40, not to 100"),
        (HEADER.encode() + b"a,Caf\xe9,,,,\n", "teams.csv: the team file is not UTF-8"),
    ],
)
def test_a_row_that_says_nothing_clear_is_refused_with_file_and_line(read: Read, content: Any, reason: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read(content)
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("rows", "first", "second", "reason"),
    [
        (
            "a@x,Lab,,,2026-03-31,\nb@x,Ops,,,,\nA@X,Ops,,2026-03-31,,\n",
            2,
            4,
            "a@x has overlapping rows from 2026-03-31",
        ),
        ("*@x,Lab,,,,\n*@x,Ops,,,,\n", 2, 3, "*@x has overlapping rows; end one with valid_to"),
        ("a,Lab,,,,60\na,Ops,,,,60\n", 2, 3, "the percents of a add up to 120, not to 100"),
        ("a,Lab,,,,60\na,Ops,,,2026-03-31,40\nz,Lab,,,,\n", 2, None, "the percents of a from 2026-04-01 add up to 60"),
    ],
)
def test_rows_that_contradict_each_other_are_refused_with_the_lines_of_each(
    read: Read, tmp_path: Path, rows: str, first: int, second: int | None, reason: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        read(HEADER + rows)
    path = tmp_path / "teams.csv"
    lines = f"{path}: line {first}" + (f" and {path}: line {second}" if second else "")
    assert f"{lines}: {reason}" in str(refused.value)


def test_a_split_may_change_while_it_stays_whole(read: Read) -> None:
    rows = read(HEADER + "a,Lab,,,,50\na,Ops,,,2026-03-31,50\na,Fin,,2026-04-01,,50\n")
    assert [row.team for row in rows] == ["Lab", "Ops", "Fin"]


def test_a_file_that_is_not_there_is_named(read: Read, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        read("", teams="[{file: other.csv}]")
    assert f"{tmp_path / 'other.csv'}: there is no such team file" in str(refused.value)


def test_an_unknown_key_of_a_row_in_the_settings_is_refused(read: Read) -> None:
    with pytest.raises(
        SettingsError, match=r"teams\.\[0\]\.row\.colour: unknown key|teams\.\[0\]\.colour: unknown key"
    ):
        read("", teams="[{match: a, team: b, colour: c}]")


@pytest.mark.parametrize(("name", "count"), [("teams.csv", 50_000), ("teams.yaml", 5_000)])
def test_a_large_map_is_read(read: Read, name: str, count: int) -> None:
    form = (
        "u{0}@x.example,Team {1},{1},,,\n" if name.endswith("csv") else "- {{match: u{0}@x.example, team: Team {1}}}\n"
    )
    content = "".join(form.format(number, number % 50) for number in range(count))
    assert len(read((HEADER if name.endswith("csv") else "") + content, name=name)) == count


@pytest.mark.parametrize(
    ("emails", "match", "reason"),
    [
        ("drop", "ana@x.example", "no address is kept that 'ana@x.example' could match; give user ids"),
        ("drop", "*@x.example", "no address is kept that '*@x.example' could match; give user ids"),
        ("pseudonym", "ana*@x.example", "of an address only its domain can be matched; write `*@` and the domain"),
    ],
)
def test_what_cannot_match_what_is_stored_is_refused(
    read: Read, monkeypatch: pytest.MonkeyPatch, emails: str, match: str, reason: str
) -> None:
    monkeypatch.setenv("ONELENS_PSEUDONYM_KEY", "k" * 32)
    with pytest.raises(SettingsError) as refused:
        read(f"{HEADER}user_1,Lab,,,,\n{match},Lab,,,,\n", more=f"privacy: {{emails: {emails}}}\n")
    assert f"teams.csv: line 3: privacy.emails is {emails}, so {reason}" in str(refused.value)
