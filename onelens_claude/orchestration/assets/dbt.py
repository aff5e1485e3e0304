"""The dbt project as assets: staging, intermediate and marts, joined to the raw assets by their source names.

What is here: running dbt, and when its manifest is stale. What to add here: how a dbt node appears in Dagster.
What must not go here: groups, owners and descriptions, which come from the dbt project itself.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, DbtProject, dbt_assets
from filelock import FileLock

from onelens_claude.orchestration.assets.previews import MARTS, example_query, mart_previews
from onelens_claude.orchestration.assets.raw import WRITER_POOL
from onelens_claude.orchestration.assets.report import REPORT_PATH
from onelens_claude.orchestration.private_apis import InstalledDbt
from onelens_claude.orchestration.resources import Onelens
from onelens_claude.paths import DBT_PROJECT, dbt_target
from onelens_claude.warehouse.connections import connect
from onelens_claude.warehouse.files import WRITER_PROCESS

_RECONCILIATION = "reconciliation_is_exact"


def dbt_project() -> DbtProject:
    """Return the dbt project, parsed: a fresh clone has no manifest, and an edited model makes it stale."""
    project = DbtProject(project_dir=DBT_PROJECT, profiles_dir=DBT_PROJECT, target_path=dbt_target())
    manifest = Path(project.manifest_path)
    if _is_stale(manifest):
        manifest.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(manifest.parent / "prepare.lock"):
            if _is_stale(manifest):
                build_dbt_resource(project).cli(["parse", "--quiet"], target_path=manifest.parent).wait()
    return project


def build_dbt_resource(project: DbtProject) -> DbtCliResource:
    """Return the resource that runs the dbt installed beside this Python, whatever PATH says."""
    executable = Path(sys.executable).with_name("dbt")
    # The base class takes the project for its two folders, which its fields' types do not show.
    return InstalledDbt(project_dir=project, dbt_executable=str(executable))  # type: ignore[arg-type]


class _Translator(DagsterDbtTranslator):
    """An asset's page shows what its table is, and of a mart a query to begin with; its SQL is in the catalogue."""

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return str(dbt_resource_props["description"])

    def get_metadata(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, Any]:
        metadata = super().get_metadata(dbt_resource_props)
        if dbt_resource_props["schema"] != MARTS:
            return metadata
        page = {"page": dg.MetadataValue.url(REPORT_PATH)}
        return {**metadata, **example_query(dbt_resource_props["name"]), **page}


def _manifest(project: DbtProject) -> dict[str, Any]:
    """Return the manifest with each test's description, and a short name, where dagster-dbt looks for its check's."""
    manifest: dict[str, Any] = json.loads(Path(project.manifest_path).read_text(encoding="utf-8"))
    for node in manifest["nodes"].values():
        if node["resource_type"] == "test":
            node["meta"]["description"] = node["description"]
            node["name"] = _check_name(node)
    return manifest


def _check_name(test: Mapping[str, Any]) -> str:
    """Return what is checked, its telling word first: the UI cuts long names, and dbt's begin with kind and model.

    dagster-dbt selects tests by their path in the project, which keeps dbt's name.
    """
    kind, column = test.get("test_metadata", {}).get("name"), test.get("column_name")
    return {
        "unique_grain": "grain_is_unique",
        "unique": f"{column}_is_unique",
        "not_null": f"{column}_is_not_null",
        "accepted_values": f"{column}_is_a_known_word",
        "is_known_user": f"{column}_is_a_known_user",
    }.get(kind, str(test["name"]))


def build_dbt_assets(project: DbtProject) -> dg.AssetsDefinition:
    """Return every model as an asset and every dbt test as its check."""

    @dbt_assets(
        manifest=_manifest(project),
        project=project,
        name="dbt_models",
        pool=WRITER_POOL,
        dagster_dbt_translator=_Translator(),
    )
    def dbt_models(
        context: dg.AssetExecutionContext, dbt: DbtCliResource, onelens: dg.ResourceParam[Onelens]
    ) -> Iterator[Any]:
        warehouse = onelens.warehouse()
        with warehouse.writer():
            pass  # on an empty folder the raw tables must be there before dbt reads them
        variables = {"ONELENS_WAREHOUSE": str(warehouse.path), WRITER_PROCESS: str(os.getpid())}
        with warehouse.writer_lock(), _environment(variables):
            # One folder per warehouse, under its lock: what dbt parsed serves the next run, and nothing piles up.
            folder = warehouse.path.parent / "dbt"
            arguments = ["build", "--exclude-resource-type", "unit_test"]
            invocation = dbt.cli(arguments, context=context, target_path=folder)
            _running.add(invocation.process)
            try:
                yield from _with_what_was_built(context, invocation.stream(), warehouse.path)
            finally:
                _running.discard(invocation.process)

    return dbt_models


def _with_what_was_built(context: dg.AssetExecutionContext, events: Iterable[Any], path: Path) -> Iterator[Any]:
    """Pass dbt's events on, from the first mart's when dbt has ended, which has the file open until then.

    What is behind a mart waits with it, because Dagster wants events in the order of the graph.
    """
    held_back: list[Any] = []
    failure: Exception | None = None
    try:
        for event in events:
            if held_back or _mart_of(context, event):
                held_back.append(event)
            else:
                yield event
    except Exception as error:  # noqa: BLE001 - raised again below, after what is held back
        failure = error
    built = [mart for event in held_back if isinstance(event, dg.Output) and (mart := _mart_of(context, event))]
    previews = mart_previews(path, built)
    for event in held_back:
        if isinstance(event, dg.Output):
            yield event.with_metadata({**event.metadata, **previews.get(_mart_of(context, event) or "", {})})
        elif isinstance(event, dg.AssetCheckResult) and event.check_name == _RECONCILIATION:
            yield event.with_metadata({**event.metadata, **_reconciled(path)})
        else:
            yield event
    if failure:
        raise failure


def _mart_of(context: dg.AssetExecutionContext, event: Any) -> str | None:
    """Return the mart that was built or checked, if the event tells of one."""
    if isinstance(event, dg.Output):
        key: Any = context.asset_key_for_output(event.output_name)
    else:
        key = event.asset_key if isinstance(event, dg.AssetCheckResult) else None
    return key.path[-1] if key and key.path[0] == MARTS else None


def _reconciled(path: Path) -> dict[str, Any]:
    """Return the days and cents of the file whose lines were compared with their total; nothing where it has none."""
    with suppress(duckdb.Error), connect(path, read_only=True) as connection:
        rows = connection.execute(
            """select organization_id, count(*), min(activity_date), max(activity_date), sum(total_cents)
            from marts.cost_reconciliation
            where total_cents is not null
            group by organization_id
            order by organization_id"""
        ).fetchall()
        if not rows:  # Dagster has no table without a row
            return {}
        records = [
            dg.TableRecord(
                dict(zip(("organization", "days", "first day", "last day", "cents"), map(str, row), strict=True))
            )
            for row in rows
        ]
        return {
            "days": sum(row[1] for row in rows),
            "cents": str(sum(row[4] for row in rows)),
            "organizations": dg.MetadataValue.table(records),
        }
    return {}


_running: set[subprocess.Popen[bytes]] = set()


def kill_dbt() -> None:
    """End the dbt of this process, if it runs: what it had begun is rolled back, and the next build makes it."""
    for process in list(_running):
        process.kill()
        process.wait()


def _is_stale(manifest: Path) -> bool:
    if not manifest.exists():
        return True
    parsed_at = manifest.stat().st_mtime
    ignored = {"target", "logs", "dbt_packages"}
    return any(
        path.stat().st_mtime > parsed_at
        for folder in DBT_PROJECT.iterdir()
        if folder.name not in ignored
        for path in ([folder] if folder.is_file() else folder.rglob("*"))
        if path.suffix in {".sql", ".yml", ".csv", ".md"} and not path.name.startswith(".")
    )


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables for the dbt process: its plugin learns the warehouse and the run through them."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
