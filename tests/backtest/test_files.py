"""Somebody else's files: what is read exactly, and what is refused with its file, line and column.

What belongs here: the form of the files. What does not: what the models make of them (`test_backtest.py`).
"""

from __future__ import annotations

import datetime as dt
import gzip
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from onelens_claude.backtest.files import read_labels, read_spend
from onelens_claude.backtest.labels import Label
from onelens_claude.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "organization_id,activity_date,user_id,product,model,amount_usd\n"
ROW = "acme,2026-03-01,ada,chat,opus,1.5\n"
LABELS = "organization_id,scope,scope_value,kind,start,end,impact_usd\n"
DAY = dt.date(2026, 3, 1)


class Folder:
    """A folder of somebody's files, and what is read from it."""

    def __init__(self, path: Path) -> None:
        self.path = path / "theirs"
        self.path.mkdir()
        self.connection = duckdb.connect()

    def write(self, name: str, content: str | bytes) -> Folder:
        (self.path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return self

    def write_parquet(self, select: str) -> Folder:
        self.connection.execute(f"copy ({select}) to '{self.path / 'spend.parquet'}'")
        return self

    def spend(self) -> list[tuple[Any, ...]]:
        self.notes = read_spend(self.connection, self.path, self.path.parent)
        return self.connection.execute("from spend order by all").fetchall()

    def labels(self) -> list[Label] | None:
        self.spend()
        return read_labels(self.connection, self.path, self.path.parent)

    def refusal(self) -> str:
        with pytest.raises(SettingsError) as refused:
            self.labels()
        message = str(refused.value)
        assert len(message.splitlines()) == 1
        return message.replace(f"{self.path}/", "")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_amounts_are_read_to_the_last_digit_and_repeated_rows_are_added_up_and_told(folder):
    folder.write(
        "spend.csv", HEADER + "acme,2026-03-01,ada,chat,opus,0.1\nacme,2026-03-01,ada,chat,opus,0.20000000000001\n"
    )
    assert folder.spend() == [("acme", DAY, "ada", "chat", "opus", Decimal("0.30000000000001"))]
    assert folder.connection.execute("select typeof(amount_usd) from spend").fetchone() == ("DECIMAL(38,14)",)
    assert folder.notes == [f"{folder.path}/spend.csv: rows that repeat a day, user, product and model, added up: 1"]


def test_a_file_of_a_spreadsheet_is_read_like_any_other(folder):
    folder.write(
        "spend.csv",
        b'\xef\xbb\xbf"Organization_ID", ACTIVITY_DATE ,user_id,product,model,cost centre,Amount_USD\r\n'
        b'acme,2026-03-01,"ada, ""the\ncountess""",,opus,7,1.25\r\n\r\n'
        b'acme,2026-03-02 00:00:00,"",chat,,7,-1e-05\r\n',
    )
    assert folder.spend() == [
        ("acme", DAY, 'ada, "the\ncountess"', None, "opus", Decimal("1.25000000000000")),
        ("acme", dt.date(2026, 3, 2), None, "chat", None, Decimal("-0.00001000000000")),
    ]
    assert "rows without a user" in folder.notes[0]


def test_a_gzip_and_a_parquet_file_say_the_same_as_text(folder, tmp_path):
    wanted = folder.write("spend.csv.gz", gzip.compress((HEADER + ROW).encode())).spend()
    (tmp_path / "other").mkdir()
    parquet = Folder(tmp_path / "other").write_parquet(
        "select 'acme' as Organization_Id, timestamp '2026-03-01' as activity_date, 'ada' as user_id, 'chat' as product, "
        "'opus' as model, 1.5::decimal(9, 2) as amount_usd"
    )
    assert parquet.spend() == wanted == [("acme", DAY, "ada", "chat", "opus", Decimal("1.50000000000000"))]
    assert parquet.notes == []


def test_a_float_of_a_parquet_file_is_the_decimal_it_is_written_as_and_that_is_told(folder):
    folder.write_parquet(
        "select 'acme' as organization_id, date '2026-03-01' as activity_date, null::varchar as user_id, 'chat' as product, "
        "'opus' as model, 0.1::double as amount_usd"
    )
    assert folder.spend() == [("acme", DAY, None, "chat", "opus", Decimal("0.10000000000000"))]
    assert "amount_usd is a float" in folder.notes[0]


def test_an_amount_with_more_digits_than_money_has_is_rounded_and_told(folder):
    folder.write("spend.csv", HEADER + "acme,2026-03-01,ada,chat,opus,0.123456789012345678\n")
    assert folder.spend()[0][-1] == Decimal("0.12345678901235")
    assert "more than 14 decimal places, rounded there: 1" in folder.notes[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HEADER + ROW + "acme,2026-03-01,ada,chat,opus,\n", "line 3: column amount_usd: is empty"),
        (HEADER + "acme,2026-03-01,ada,chat,opus,NaN\n", "line 2: column amount_usd: 'NaN' is no amount in dollars"),
        (HEADER + 'acme,2026-03-01,ada,chat,opus,"1,000"\n', "column amount_usd: '1,000' is no amount"),
        (HEADER + "acme,2026-03-01,ada,chat,opus,1e400\n", "column amount_usd: '1e400' is no amount"),
        (
            HEADER + ROW + '\nacme,2026-02-30,"a\nb",chat,opus,1\n',
            "line 4: column activity_date: '2026-02-30' is no day",
        ),
        (HEADER + "acme,01/03/2026,ada,chat,opus,1\n", "'01/03/2026' is no day from 2000 to 2099, such as 2026-01-31"),
        (HEADER + "acme,0206-03-01,ada,chat,opus,1\n", "'0206-03-01' is no day from 2000 to 2099"),
        (HEADER + ",2026-03-01,ada,chat,opus,1\n", "line 2: column organization_id: is empty"),
        (HEADER + ROW + "acme,2026-03-01,ada,chat\n", "line 3: it has another number of fields than the header"),
        (HEADER + 'acme,2026-03-01,"ada,chat,opus,1\n', "a quote is opened and never closed"),
        (HEADER.encode() + "acme,2026-03-01,zoë,chat,opus,1\n".encode("latin-1"), "line 2: it is not UTF-8"),
        (
            HEADER.replace("amount_usd", "amount") + ROW,
            "there is no column amount_usd; its columns are organization_id, ",
        ),
        (HEADER.replace("model", "product") + ROW, "there is more than one column product"),
        (HEADER, "there is no row in it"),
        ("", "there is nothing in it, not even a header"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line_and_column(folder, content, message):
    refusal = folder.write("spend.csv", content).refusal()
    assert refusal.startswith("spend.csv: ")
    assert message in refusal
    assert refusal.endswith("; correct the file and run it again")


def test_a_file_that_is_cut_off_or_no_file_of_its_kind_is_refused(folder):
    folder.write("spend.csv.gz", gzip.compress((HEADER + ROW * 50).encode())[:-9])
    assert "it cannot be unpacked" in folder.refusal()
    (folder.path / "spend.csv.gz").rename(folder.path / "spend.parquet")
    assert folder.refusal().startswith("spend.parquet: ")


def test_a_folder_without_spend_or_with_two_kinds_of_it_is_refused(folder):
    assert f"--data: {folder.path} has no spend.csv, spend.csv.gz, spend.parquet" in folder.refusal()
    folder.write("spend.csv", HEADER + ROW).write_parquet("select 1 as one")
    assert "has spend.csv and spend.parquet; keep one of them" in folder.refusal()
    folder.path = folder.path / "nowhere"
    assert "is no folder" in folder.refusal()


def test_labels_are_read_with_both_days_and_an_impact_that_may_be_unknown(folder):
    folder.write("spend.csv", HEADER + ROW)
    assert folder.labels() is None
    folder.connection = duckdb.connect()
    folder.write(
        "labels.csv",
        LABELS + "acme,user,ada,runaway,2026-03-01,2026-03-02,412.50\nacme,organization,,drop,2026-03-01,2026-03-01,\n",
    )
    assert folder.labels() == [
        Label("acme", "user", "ada", "runaway", DAY, dt.date(2026, 3, 2), Decimal("412.5")),
        Label("acme", "organization", "acme", "drop", DAY, DAY, None),
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("acme,user,ada,runaway,2026-03-02,2026-03-01,1", "line 2: column end: '2026-03-01' is before the start"),
        ("acme,user,ada,outage,2026-03-01,2026-03-01,1", "column kind: 'outage' is none of spike, runaway, "),
        ("acme,team,x,spike,2026-03-01,2026-03-01,1", "column scope: 'team' is none of organization, "),
        ("acme,user,,spike,2026-03-01,2026-03-01,1", "column scope_value: is empty"),
        (
            "acme,organization,other,spike,2026-03-01,2026-03-01,1",
            "column scope_value: 'other' is not the organisation's",
        ),
        (
            "other,user,ada,spike,2026-03-01,2026-03-01,1",
            "column organization_id: 'other' is no organisation of the spend",
        ),
        ("acme,user,ada,spike,soon,2026-03-01,1", "column start: 'soon' is no day"),
        ("acme,user,ada,spike,2026-03-01,,1", "column end: is no day"),
        ("acme,user,ada,spike,2026-03-01,2026-03-01,much", "column impact_usd: 'much' is no amount"),
    ],
)
def test_a_label_that_means_nothing_is_refused(folder, row, message):
    refusal = folder.write("spend.csv", HEADER + ROW).write("labels.csv", LABELS + row + "\n").refusal()
    assert refusal.startswith("labels.csv: line 2: ")
    assert message in refusal
