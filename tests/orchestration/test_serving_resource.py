"""The resource `duckdb`: somebody's own asset reads marts, and can write nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
import duckdb
import pytest
from dagster_duckdb import DuckDBResource

from onelens_claude.definitions import build_defs
from onelens_claude.errors import WarehouseError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from onelens_claude.settings import Settings


def build_reading_asset(statement: str) -> dg.AssetsDefinition:
    @dg.asset(required_resource_keys={"duckdb"})
    def of_my_own(context):  # annotations are strings here, and Dagster reads them
        with context.resources.duckdb.get_connection() as connection:
            return dg.MaterializeResult(metadata={"answer": str(connection.execute(statement).fetchone()[0])})

    return dg.with_resources([of_my_own], {"duckdb": build_defs().resources["duckdb"]})[0]


@pytest.fixture
def settings(write_settings: Callable[..., Settings]) -> Settings:
    return write_settings({"acme": ("sk-ant-api01-acme", "http://127.0.0.1:9")})


def publish(path: Path, amount: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            f"create schema marts; create table marts.spend as select {amount}::decimal(38, 12) as cents"
        )


def test_an_asset_of_ones_own_reads_the_copy_that_was_published_last(settings):
    asset = build_reading_asset("select cents from marts.spend")
    for amount in ("1.000000000001", "2.5"):
        publish(settings.serving_path, amount)
        result = dg.materialize([asset])
        (event,) = result.get_asset_materialization_events()
        assert str(event.materialization.metadata["answer"].value).rstrip("0") == amount


def test_it_cannot_write_or_reach_another_file(settings):
    publish(settings.serving_path, "1")
    resource = build_defs().resources["duckdb"]
    assert isinstance(resource, DuckDBResource)
    for statement in ("delete from marts.spend", f"copy marts.spend to '{settings.serving_path}.csv'"):
        with resource.get_connection() as connection, pytest.raises(duckdb.Error):
            connection.execute(statement)


def test_without_a_copy_the_error_says_what_to_do(settings):
    with (
        pytest.raises(WarehouseError, match="run `onelens-claude backfill`"),
        build_defs().resources["duckdb"].get_connection(),
    ):
        pass


def test_settings_that_are_given_name_the_copy(settings):
    publish(settings.serving_path, "3")
    assert build_defs(settings=settings).resources["duckdb"].database == str(settings.serving_path)
