"""The canaries: each private name does what we use it for, and what to do when a new version drops it."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage as DagstersOwn
from dagster_dbt import DbtCliResource

import onelens_claude
from onelens_claude.orchestration import private_apis
from onelens_claude.orchestration.assets.dbt import build_dbt_resource, dbt_project

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(onelens_claude.__file__).parent
ROOM = PACKAGE / "orchestration" / "private_apis.py"
DAYS = dg.DailyPartitionsDefinition("2026-11-01", end_date="2026-11-11")
RANGE = {"dagster/asset_partition_range_start": "2026-11-01", "dagster/asset_partition_range_end": "2026-11-10"}


def private_imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            first, *rest = name.split(".")
            if first.startswith(("dagster", "dbt")) and any(part.startswith("_") for part in rest):
                yield name


def test_private_parts_of_dagster_and_dbt_are_imported_in_one_module_only():
    assert {path for path in PACKAGE.rglob("*.py") if list(private_imports(path))} == {ROOM}
    assert list(private_imports(ROOM))  # the search itself finds what is there


def build_two_days_assets() -> list[dg.AssetsDefinition]:
    @dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
    def first(context):
        yield dg.AssetMaterialization(context.asset_key, partition="2026-11-01")
        yield dg.MaterializeResult(metadata={private_apis.NO_EVENT_MARK: True})

    @dg.asset(deps=[first])
    def behind() -> None:
        return None

    return [first, behind]


@pytest.mark.filterwarnings("ignore:Parameter `backfill_policy`")
def test_an_output_with_the_mark_writes_no_event_and_what_is_behind_it_still_runs():
    with dg.DagsterInstance.ephemeral() as instance:
        job = dg.Definitions(assets=build_two_days_assets()).resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(instance=instance, tags=RANGE)
        assert result.success
        loaded = instance.get_materialized_partitions(dg.AssetKey("first"))
        behind = instance.get_latest_materialization_event(dg.AssetKey("behind"))
    fall_back = "run the raw assets and what is behind them as two runs (private_apis.NO_EVENT_MARK)"
    assert loaded == {"2026-11-01"}, fall_back
    assert behind is not None, fall_back


def planned_and_materialised(tmp_path: Path) -> tuple[int, set[str]]:
    """Materialise ten days with Dagster's own log; return the planned events, and the days it then knows."""

    @dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
    def measured() -> None:
        return None

    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        assert type(instance.event_log_storage) is DagstersOwn
        job = dg.Definitions(assets=[measured]).resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(instance=instance, tags=RANGE)
        planned = instance.all_logs(result.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
        return len(planned), instance.get_materialized_partitions(dg.AssetKey("measured"))


def test_the_log_we_extend_has_what_we_override():
    fall_back = "use Dagster's own log with DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS=1 (private_apis)"
    for name in ("_connect", "store_event_batch", "from_config_value", "config_type"):
        assert hasattr(private_apis.SqliteEventLogStorage, name), fall_back
    assert issubclass(private_apis.SqliteEventLogStorage, DagstersOwn), fall_back


@pytest.mark.filterwarnings("ignore:Parameter `backfill_policy`")
def test_the_public_way_of_the_log_plans_a_range_as_one_event_and_knows_the_same_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("DAGSTER_EVENT_BATCH_SIZE", raising=False)
    (tmp_path / "one_each").mkdir()
    each, days_of_each = planned_and_materialised(tmp_path / "one_each")
    monkeypatch.setenv("DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS", "1")
    (tmp_path / "as_one").mkdir()
    as_one, days_as_one = planned_and_materialised(tmp_path / "as_one")
    assert (each, as_one) == (10, 1)
    assert days_of_each == days_as_one == set(DAYS.get_partition_keys())


def test_dbt_is_asked_for_its_version_by_nobody(monkeypatch: pytest.MonkeyPatch):
    """The base class would run `dbt --version`, which asks the package index."""
    import subprocess

    def refuse(*arguments: Any, **_options: Any) -> None:
        raise AssertionError(f"a process was started: {arguments}")

    resource = build_dbt_resource(dbt_project())
    monkeypatch.setattr(subprocess, "check_output", refuse)
    monkeypatch.setattr(subprocess, "run", refuse)
    assert str(resource._cli_version).startswith("1.11"), "without it, DbtCliResource works, seconds slower"


def test_no_second_dbt_is_set_up_in_the_process_that_starts_dbt():
    """The base class would import dbt and read its macros, seconds for each command."""
    assert "_initialize_dbt_core_adapter" in vars(DbtCliResource), "another name now: see what the base class sets up"
    assert build_dbt_resource(dbt_project())._initialize_dbt_core_adapter([]) is None


def test_a_launcher_is_asked_for_a_runs_health_by_the_names_we_answer_with():
    fall_back = "without them a daemon frees no killed run, the next command does (private_apis)"
    assert not dg.DefaultRunLauncher().supports_check_run_worker_health, "Dagster's own can do it now: use it"
    assert private_apis.CheckRunHealthResult(private_apis.WorkerStatus.FAILED, "why").msg == "why", fall_back
    assert hasattr(private_apis.WorkerStatus, "RUNNING"), fall_back


def test_what_places_a_run_in_the_ui_and_sees_a_backfill_is_there():
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(dg.job(name="some")(lambda: None))
        private_apis.place_in_code_location(instance, run, "somewhere")
        placed = instance.get_run_by_id(run.run_id)
        assert placed.remote_job_origin.location_name == "somewhere", "the page of all runs shows it anyway"
        asked = private_apis.BulkActionsFilter(statuses=[private_apis.BulkActionStatus.REQUESTED])
        assert list(instance.get_backfills(filters=asked)) == [], "without it, a backfill is followed by two builds"
