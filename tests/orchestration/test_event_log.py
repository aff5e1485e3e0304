"""The event log in batches holds what Dagster's own would hold."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from onelens_claude.orchestration.event_log import BATCH_VARIABLE, BatchedEventLogStorage, batch_of
from onelens_claude.paths import PROJECT_ROOT

if TYPE_CHECKING:
    from pathlib import Path

DAYS = dg.DailyPartitionsDefinition("2026-11-01", end_offset=0)
RANGE = {"dagster/asset_partition_range_start": "2026-11-01", "dagster/asset_partition_range_end": "2026-11-20"}


KEY = dg.AssetKey("measured")


def build_measured() -> dg.AssetsDefinition:
    @dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
    def measured(context):  # Dagster reads annotations, which are strings here
        if context.run.tags.get("one_by_one"):
            with batch_of(context.instance):
                for key in context.partition_keys:
                    yield dg.AssetMaterialization(context.asset_key, partition=key, metadata={"day": key})
        for key in context.partition_keys:
            context.add_asset_metadata({"day": key}, partition_key=key)
        yield dg.MaterializeResult()

    return measured


def run(home: Path, monkeypatch: pytest.MonkeyPatch, *, batched: bool, **tags: str) -> dict[str, Any]:
    """Materialise twenty days; return the events of both files and what the instance says."""
    home.mkdir()
    if batched:
        (home / "dagster.yaml").write_text((PROJECT_ROOT / "dagster.yaml").read_text())
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    monkeypatch.setenv(BATCH_VARIABLE, "1000" if batched else "0")
    with dg.DagsterInstance.get() as instance:
        assert isinstance(instance.event_log_storage, BatchedEventLogStorage) is batched
        job = dg.Definitions(assets=[build_measured()]).resolve_implicit_global_asset_job_def()
        assert job.execute_in_process(instance=instance, tags={**RANGE, **tags}).success
        found = {
            "partitions": instance.get_materialized_partitions(KEY),
            "metadata": [
                (record.partition_key, record.asset_materialization.metadata["day"].value)
                for record in instance.fetch_materializations(KEY, limit=100).records
            ],
        }
    for path in sorted((home / "history" / "runs").glob("*.db")):
        with contextlib.closing(sqlite3.connect(path)) as connection:
            found[path.stem if path.stem == "index" else "run"] = sorted(
                connection.execute("select dagster_event_type, count(*) from event_logs group by 1").fetchall(), key=str
            )
    return found


@pytest.mark.filterwarnings("ignore:Parameter `backfill_policy`")
@pytest.mark.parametrize("tags", [{}, {"one_by_one": "yes"}], ids=["one result", "events one by one"])
def test_a_range_leaves_the_same_events_as_in_dagsters_own_log(tmp_path, monkeypatch, tags):
    own = run(tmp_path / "own", monkeypatch, batched=False, **tags)
    ours = run(tmp_path / "ours", monkeypatch, batched=True, **tags)
    assert ours == own
    assert len(ours["partitions"]) == 20
    assert all(partition == day for partition, day in ours["metadata"])


@pytest.fixture
def storage(tmp_path: Path) -> BatchedEventLogStorage:
    return BatchedEventLogStorage(str(tmp_path))


def test_a_batch_that_fails_leaves_nothing_and_the_log_works_on(storage):
    def count() -> int:
        with storage.index_connection() as connection:
            return connection.exec_driver_sql("select count(*) from asset_keys").scalar()

    def add(key: str) -> None:
        with storage.index_connection() as connection:
            connection.exec_driver_sql(f"insert into asset_keys (asset_key) values ('{key}')")

    with contextlib.suppress(ZeroDivisionError), storage.batch():
        add("one")
        assert count() == 1
        raise ZeroDivisionError
    assert count() == 0
    with storage.batch(), storage.batch():
        add("two")
        add("three")
    assert count() == 2
