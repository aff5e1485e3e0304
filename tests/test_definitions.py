"""The graph: pinned by a snapshot, loads anywhere, warns about nothing.

After a change of the graph that is meant: UPDATE_SNAPSHOTS=1 .venv/bin/python -m pytest tests/test_definitions.py
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from onelens_claude.api.endpoints import ENDPOINTS
from onelens_claude.definitions import build_defs, defs
from onelens_claude.orchestration.checks import build_checks
from onelens_claude.paths import EXAMPLE_QUERIES, PROJECT_ROOT

SNAPSHOT = Path(__file__).with_name("snapshots") / "definitions.json"
SETTINGS = {f"claude_raw/{name}" for name in ("organizations", "budgets", "anomaly_settings", "holidays", "team_map")}
EXTERNAL = {"claude_raw/pulls", "claude_raw/alert_log"}
WATCH = {"claude_raw/watch_looks", "claude_raw/watch_amounts", "claude_raw/watch_pages"}
LEDGER = EXTERNAL | SETTINGS | WATCH | {"claude_raw/deletions", "claude_raw/erasures"}
"""Tables that are no endpoint's."""


def described_graph() -> dict[str, Any]:
    """Return everything about the graph that other people's work may rest on, as plain data."""
    graph = defs.resolve_asset_graph()
    repository = defs.get_repository_def()
    checks: dict[str, dict[str, Any]] = {}
    for key in sorted(graph.asset_check_keys, key=lambda one: (one.asset_key, one.name)):
        spec = graph.get_check_spec(key)
        checks.setdefault(key.asset_key.to_user_string(), {})[key.name] = "blocking" if spec.blocking else "reports"
    return {
        "assets": {
            key.to_user_string(): _described_asset(graph.get(key)) for key in sorted(graph.get_all_asset_keys())
        },
        "checks": checks,
        "jobs": {
            job.name: {
                "assets": _summary(job),
                "partitions": type(job.partitions_def).__name__ if job.partitions_def else None,
            }
            for job in sorted(repository.get_all_jobs(), key=lambda one: one.name)
            if not job.name.startswith("__")
        },
        "schedules": {
            one.name: {
                "job": one.job_name,
                "cron": one.cron_schedule,
                "timezone": one.execution_timezone,
                "status": one.default_status.value,
            }
            for one in repository.schedule_defs
        },
        "sensors": {
            one.name: {
                "job": one.job_name if one.targets else None,
                "seconds": one.minimum_interval_seconds,
                "status": one.default_status.value,
            }
            for one in repository.sensor_defs
        },
    }


def _described_asset(node: Any) -> dict[str, Any]:
    described: dict[str, Any] = {
        "group": node.group_name,
        "owners": sorted(node.owners),
        "kinds": sorted(node.kinds),
        "tags": {name: value for name, value in sorted(node.tags.items()) if not name.startswith("dagster/")},
        "after": sorted(key.to_user_string() for key in node.parent_keys),
        "is_executable": node.is_executable,
    }
    if node.partitions_def:
        start = node.partitions_def.get_first_partition_key()
        described["partitions"] = f"{type(node.partitions_def).__name__} from {start} {node.partitions_def.timezone}"
        described["backfill"] = node.backfill_policy.policy_type.value
    if node.freshness_policy:
        described["fresh_for"] = str(node.freshness_policy.fail_window.to_timedelta())
    return described


def _summary(job: dg.JobDefinition) -> list[str]:
    """Return the assets of a job; a whole layer as one entry."""
    keys = job.asset_layer.executable_asset_keys
    graph = defs.resolve_asset_graph()
    summary = []
    for group in sorted({graph.get(key).group_name or "" for key in keys}):
        of_group = {key for key in graph.get_all_asset_keys() if graph.get(key).group_name == group}
        chosen = of_group.intersection(keys)
        summary += [f"{group}/*"] if chosen == of_group else sorted(key.to_user_string() for key in chosen)
    return summary


def test_the_graph_is_the_one_of_the_snapshot():
    written = json.dumps(described_graph(), indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOT.parent.mkdir(exist_ok=True)
        SNAPSHOT.write_text(written, encoding="utf-8")
    assert json.loads(written) == json.loads(SNAPSHOT.read_text(encoding="utf-8")), (
        "The graph changed. If it was meant to: UPDATE_SNAPSHOTS=1 .venv/bin/python -m pytest tests/test_definitions.py"
    )


def test_the_names_of_the_public_interface_are_there():
    graph = described_graph()
    assert {f"claude_raw/{name}" for name in ENDPOINTS} <= set(graph["assets"])
    assert len(ENDPOINTS) >= 9
    assert {"ingest_job", "marts_job", "daily_job"} <= set(graph["jobs"])
    assert graph["schedules"]["daily_schedule"]["job"] == "daily_job"
    for name in ("fct_claude_costs", "fct_claude_usage", "dim_claude_users", "dim_claude_organizations"):
        assert f"marts/{name}" in graph["assets"]


def test_a_check_is_told_from_the_others_of_its_asset_by_what_the_ui_shows_of_its_name():
    for asset, checks in described_graph()["checks"].items():
        assert len({name[:32] for name in checks}) == len(checks), asset


def test_every_mart_shows_a_documented_query_that_reads_it():
    graph = defs.resolve_asset_graph()
    documented = EXAMPLE_QUERIES.read_text(encoding="utf-8")
    marts = [graph.get(key) for key in graph.get_all_asset_keys() if key.path[0] == "marts"]
    assert len(marts) > 30
    for mart in marts:
        query = mart.metadata["example_query"].value
        assert f"marts.{mart.key.path[-1]}" in query
        assert query in documented
        assert mart.metadata["page"].value == "/report.html"


def test_every_asset_is_in_the_group_of_its_layer_and_has_an_owner():
    for key, asset in described_graph()["assets"].items():
        assert asset["group"] == key.split("/")[0]
        assert asset["owners"] == ["team:finops"], key
        assert asset["kinds"], key
        assert asset["is_executable"] or key in EXTERNAL, key


@pytest.mark.parametrize("key", sorted(SETTINGS))
def test_the_organisations_and_budgets_come_from_the_settings_alone_and_every_job_that_builds_writes_them_first(key):
    graph = described_graph()
    assert graph["assets"][key]["after"] == []
    for name in ("marts_job", "revision_job", "daily_job"):
        assert dg.AssetKey(key.split("/")) in defs.resolve_job_def(name).asset_layer.executable_asset_keys


def test_every_asset_and_every_check_says_in_words_what_it_is():
    graph = defs.resolve_asset_graph()
    said = {key.to_user_string(): graph.get(key).description for key in graph.get_all_asset_keys()}
    said |= {key.to_user_string(): graph.get_check_spec(key).description for key in graph.asset_check_keys}
    assert len(said) > 200
    assert {key: text for key, text in said.items() if not text or "{{" in text or "select " in text} == {}


def test_every_endpoint_feeds_the_staging_models_that_carry_its_name():
    assets = described_graph()["assets"]
    for name in (one.name for one in ENDPOINTS.values() if not one.is_optional):
        readers = {key for key, asset in assets.items() if f"claude_raw/{name}" in asset["after"]} - LEDGER
        assert {f"staging/stg_{name}", f"staging/base_{name}"} & readers
        assert all(key.startswith("staging/") for key in readers), readers


def test_raw_days_run_from_2026_in_utc_as_one_run_per_range():
    for key, asset in described_graph()["assets"].items():
        if key.startswith("claude_raw/") and key not in LEDGER:
            assert asset["partitions"] == "DailyPartitionsDefinition from 2026-01-01 UTC"
            assert asset["backfill"] == "SINGLE_RUN"
            assert asset["fresh_for"]
        else:
            assert "partitions" not in asset


def test_a_fact_that_does_not_add_up_holds_up_what_follows_and_no_check_of_our_own_does():
    checks = described_graph()["checks"]
    assert checks["marts/fct_claude_costs"]["reconciliation_is_exact"] == "blocking"
    ours = {key for check in build_checks() for key in check.check_keys}
    assert {checks[key.asset_key.to_user_string()][key.name] for key in ours} == {"reports"}


def test_everything_that_writes_the_warehouse_takes_its_one_slot():
    job = defs.resolve_job_def("daily_job")
    writers = [node for node in job.nodes if node.name != "serving__report"]  # it only reads the copy
    assert len(writers) == len(job.nodes) - 1
    assert {frozenset(node.definition.pools) for node in writers} == {frozenset({"warehouse_writer"})}


def test_an_override_replaces_a_resource():
    instead = dg.ResourceDefinition.hardcoded_resource("instead")
    built = build_defs(resource_overrides={"onelens": instead})
    assert built.resources["onelens"] is instead
    assert set(built.resources) == {"onelens", "dbt", "duckdb"}


def test_each_list_can_be_replaced_and_only_the_one_that_is_given_is():
    @dg.asset
    def of_my_own() -> None:
        return None

    lists = ("assets", "asset_checks", "jobs", "schedules", "sensors")
    default = build_defs()
    for name in lists:
        # jobs and checks name the project's assets, so whoever replaces these replaces them too
        instead = {"assets": [of_my_own], "asset_checks": [], "jobs": [], "schedules": [], "sensors": []}
        given: dict[str, Any] = instead if name == "assets" else {name: []}
        built = build_defs(**given)
        assert len(list(getattr(built, name) or [])) == len(given[name])
        for other in set(lists) - set(given):
            assert len(list(getattr(built, other))) == len(list(getattr(default, other)))


@pytest.fixture
def fresh_clone(tmp_path: Path) -> Path:
    """Return a folder with what a clone holds: no manifest, no settings."""
    for name in ("onelens_claude", "dbt_project"):
        ignored = shutil.ignore_patterns("__pycache__", "target", "logs", "dbt_packages", ".user.yml")
        shutil.copytree(PROJECT_ROOT / name, tmp_path / name, ignore=ignored)
    for name in ("workspace.yaml", "dagster.yaml", "pyproject.toml"):
        shutil.copy(PROJECT_ROOT / name, tmp_path / name)
    return tmp_path


LOAD_TWICE = """
import pathlib
from onelens_claude import definitions
models = pathlib.Path("dbt_project/models/marts")
count = lambda defs: len(defs.resolve_asset_graph().get_all_asset_keys())
print(definitions.__file__, count(definitions.defs))
(models / "one_more.sql").write_text(
    "{{ config(contract={'enforced': false}) }} select organization_id from {{ ref('cost_revisions') }}"
)
definitions.build_defs()
print("one_more" in pathlib.Path("dbt_project/target/manifest.json").read_text())
"""


def test_a_fresh_clone_loads_with_no_settings_no_manifest_and_no_warning_and_parses_anew_after_an_edit(fresh_clone):
    ours = ("ONELENS_", "DAGSTER_", "PYTEST", "DBT_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    # The one warning on import is known: the pytest settings say whose.
    warnings = ["-W", "error", "-W", "ignore:sqlglotrs is deprecated:DeprecationWarning"]
    loaded = subprocess.run(
        [sys.executable, *warnings, "-c", LOAD_TWICE],
        cwd=fresh_clone,
        env={**environment, "PYTHONPATH": str(fresh_clone)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (loaded.returncode, loaded.stderr) == (0, "")
    where, count, after_the_edit = loaded.stdout.split()
    assert Path(where).is_relative_to(fresh_clone)
    assert int(count) == len(described_graph()["assets"])
    assert after_the_edit == "True"
    assert not (fresh_clone / "onelens.yaml").exists()
