"""The dbt project run for real: one warehouse, three stages of pulls, one build after each, one full refresh.

What belongs here: running dbt and the built warehouses. What does not: pulls (`scenarios.py`, `engagement_world.py`) and
expectations.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pytest

from onelens_claude.orchestration.assets.dbt import dbt_project
from tests.dbt_project import scenarios
from tests.dbt_project.engagement_world import BuiltWorld, build_world
from tests.dbt_project.raw_rows import Pull, RawWarehouse

PROJECT = Path(__file__).parents[2] / "dbt_project"
TABLES = ("--exclude", "config.materialized:view")
"""What a further build has to do: a view stays as the first one made it, whatever was pulled since."""


@dataclass
class Dbt:
    """dbt in a process of its own, as the assets run it; what the assets parsed serves it, too."""

    folder: Path

    def __call__(self, path: Path, *arguments: str, succeeds: bool = True) -> str:
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name("dbt")),
                "--no-use-colors",
                *arguments,
                f"--project-dir={PROJECT}",
                f"--profiles-dir={PROJECT}",
                f"--target-path={self.folder / 'target'}",
                f"--log-path={self.folder / 'logs'}",
            ],
            env={**os.environ, "ONELENS_WAREHOUSE": str(path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode == 0) == succeeds, done.stdout[-8000:] + done.stderr
        return done.stdout

    def incremental_models(self) -> dict[str, set[str]]:
        """Return every incremental model, with its schema, and its columns."""
        nodes = json.loads((self.folder / "target" / "manifest.json").read_text())["nodes"].values()
        return {
            f"{node['schema']}.{node['name']}": set(node["columns"])
            for node in nodes
            if node["resource_type"] == "model" and node["config"]["materialized"] == "incremental"
        }

    def materialized(self, model: str) -> str:
        """Return `table` or `view`."""
        manifest = json.loads((self.folder / "target" / "manifest.json").read_text())
        return str(manifest["nodes"][f"model.onelens_claude.{model}"]["config"]["materialized"])

    def compiled(self, model: str) -> str:
        manifest = json.loads((self.folder / "target" / "manifest.json").read_text())
        path = manifest["nodes"][f"model.onelens_claude.{model}"]["original_file_path"]
        return (self.folder / "target" / "compiled" / "onelens_claude" / path).read_text()


@dataclass
class Built:
    """What the models made of everything pulled so far."""

    path: Path
    pulls: list[Pull]
    organizations: dict[str, dict[str, Any]]
    output: str

    @cached_property
    def connection(self) -> duckdb.DuckDBPyConnection:
        return duckdb.connect(str(self.path), read_only=True)

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql, list(parameters)).fetchall()

    def dicts(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        cursor = self.connection.execute(sql, list(parameters))
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.fixture(scope="session")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    folder = tmp_path_factory.mktemp("dbt")
    parsed = Path(dbt_project().manifest_path).with_name("partial_parse.msgpack")
    (folder / "target").mkdir()
    shutil.copyfile(parsed, folder / "target" / parsed.name)
    return Dbt(folder)


@pytest.fixture(scope="session")
def stages(dbt: Dbt, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Built]:
    """Return the warehouse after each stage ("1", "2", "3") and after a full refresh ("full")."""
    raw = RawWarehouse(tmp_path_factory.mktemp("warehouse") / "working.duckdb")
    built: dict[str, Built] = {}
    for stage, register in (
        ("1", scenarios.register_stage_1),
        ("2", scenarios.register_stage_2),
        ("3", scenarios.register_stage_3),
        ("full", None),
    ):
        if register:
            register(raw)
            raw.write()
        # the first build runs every test, the unit tests with named rows included
        command = {"1": ("build",), "full": ("run", "--full-refresh", *TABLES)}.get(stage, ("run", *TABLES))
        output = dbt(raw.path, *command)
        copy = raw.path.with_name(f"stage_{stage}") / raw.path.name
        copy.parent.mkdir()
        shutil.copyfile(raw.path, copy)
        built[stage] = Built(copy, list(raw.pulls), deepcopy(raw.organizations), output)
    return built


@pytest.fixture(scope="session")
def built(stages: dict[str, Built]) -> Built:
    """Return the warehouse after the last incremental build."""
    return stages["3"]


@pytest.fixture(scope="session")
def world(dbt: Dbt, tmp_path_factory: pytest.TempPathFactory) -> BuiltWorld:
    """Return two organisations at work, landed and built twice, beside what the server says is true."""
    return build_world(dbt, tmp_path_factory.mktemp("engagement"))
