"""Data frames over the serving copy: money stays Decimal, a null stays a null, a count stays whole."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING

import duckdb
import pandas as pd
import pytest

from onelens_claude.errors import WarehouseError
from onelens_claude.frames import read_mart, read_sql

if TYPE_CHECKING:
    from pathlib import Path

AMOUNTS = ("1234567890123456.000000000001", "0.1", "0.2", "-0.000000000003")
TOTAL = Decimal("1234567890123456.299999999998")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Make a serving copy with one mart, whose total no float can hold: 28 digits, as many as Python adds exactly."""
    path = tmp_path / "serving.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            """create schema marts;
            create table marts.spend (
                day date, amount_cents decimal(38, 12), tokens bigint, share double, is_known boolean, fetched_at timestamp
            )"""
        )
        for number, amount in enumerate(AMOUNTS):
            connection.execute(
                "insert into marts.spend values (?, ?, ?, ?, ?, ?)",
                [dt.date(2026, 11, 1 + number), amount, 2**53 + 1, 0.5, True, "2026-11-20 12:00:00"],
            )
        connection.execute("insert into marts.spend values (null, null, null, null, null, null)")
    return path


def test_a_sum_of_money_is_exact_where_a_float_frame_loses_digits(copy):
    frame = read_mart("spend", serving_path=copy)
    assert all(isinstance(value, Decimal) for value in frame["amount_cents"].dropna())
    assert sum(frame["amount_cents"].dropna()) == TOTAL
    assert frame["amount_cents"].sum() == TOTAL
    with duckdb.connect(str(copy), read_only=True) as connection:
        assert Decimal(float(connection.sql("from marts.spend").df()["amount_cents"].sum())) != TOTAL


def test_groups_of_money_add_up_exactly(copy):
    frame = read_sql("select amount_cents, day > date '2026-11-01' as later from marts.spend", serving_path=copy)
    sums = frame.dropna().groupby("later")["amount_cents"].sum()
    assert sums[True] == Decimal("0.299999999997")
    assert sums[False] == Decimal(AMOUNTS[0])


def test_counts_stay_whole_and_nulls_stay_nulls(copy):
    frame = read_sql("select * from marts.spend order by day nulls last", serving_path=copy)
    assert frame["tokens"].dtype == "Int64"
    assert frame["tokens"].iloc[0] == 2**53 + 1
    assert frame["day"].iloc[0] == dt.date(2026, 11, 1)
    assert all(pd.isna(value) for value in frame.iloc[-1])


def test_a_result_without_rows_keeps_its_columns_and_a_name_may_stand_twice(copy):
    assert list(read_sql("select day, tokens from marts.spend where false", serving_path=copy).columns) == [
        "day",
        "tokens",
    ]
    twice = read_sql("select 1 as n, 2 as n", serving_path=copy)
    assert list(twice.columns) == ["n", "n"]
    assert twice.iloc[0].tolist() == [1, 2]


def test_parameters_are_bound_and_no_copy_is_one_clear_error(copy, tmp_path):
    of_day = read_sql(
        "select tokens from marts.spend where day = $day", {"day": dt.date(2026, 11, 2)}, serving_path=copy
    )
    assert of_day["tokens"].tolist() == [2**53 + 1]
    with pytest.raises(WarehouseError, match=r"missing\.duckdb: there is no serving copy yet"):
        read_mart("spend", serving_path=tmp_path / "missing.duckdb")
