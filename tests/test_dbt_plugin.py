"""dbt opens the file of the environment, waits for who has it open for a moment, and ends with its run."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from dbt.adapters.duckdb.credentials import DuckDBCredentials

from onelens_claude import dbt_plugin
from onelens_claude.warehouse.connections import connect

if TYPE_CHECKING:
    from pathlib import Path

HOLD = "import duckdb, sys, time; c = duckdb.connect(sys.argv[1]); print('open', flush=True); time.sleep(float(sys.argv[2]))"


def prepare(path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[DuckDBCredentials, dict[str, Any]]:
    """Let the plugin prepare the connection of a profile that names another file."""
    monkeypatch.setenv("ONELENS_WAREHOUSE", str(path))
    credentials = DuckDBCredentials.from_dict(
        {"path": ":memory:", "database": "onelens", "schema": "marts", "attach": [{"path": "x", "alias": "onelens"}]}
    )
    config: dict[str, Any] = {}
    dbt_plugin.Plugin.create("onelens_claude.dbt_plugin", config={}).update_connection_config(credentials, config)
    return credentials, config


def test_dbt_opens_the_file_of_the_environment_and_spills_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "it's #1.duckdb"
    credentials, config = prepare(path, monkeypatch)
    assert [one.path for one in credentials.attach or []] == [str(path)]
    assert config == {"temp_directory": f"{path}.tmp"}


@pytest.mark.parametrize(("seconds", "is_free"), [("0.6", True), ("30", False)])
def test_a_file_that_is_open_for_a_moment_is_waited_for_and_no_longer(tmp_path, monkeypatch, seconds, is_free):
    path = tmp_path / "w.duckdb"
    connect(path).close()
    monkeypatch.setattr(dbt_plugin, "_OPEN_SECONDS", 1.5)
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path), seconds], stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        holder.stdout.readline()
        prepare(path, monkeypatch)
        if is_free:
            connect(path).close()
        else:
            with pytest.raises(duckdb.IOException):
                connect(path)
        holder.kill()


def test_a_dbt_whose_run_is_killed_ends_at_once_even_if_that_was_before_it_looked():
    dbt = """import os, sys, time
from onelens_claude import dbt_plugin
dbt_plugin.Plugin.create("onelens_claude.dbt_plugin", config={})
print("runs", flush=True)
time.sleep(60)"""
    run = """import os, subprocess, sys, time
environment = {**os.environ, "ONELENS_WRITER_PROCESS": str(os.getpid() + int(sys.argv[2]))}
subprocess.Popen([sys.executable, "-c", sys.argv[1]], env=environment)
os.close(1)
time.sleep(60)"""
    for dead_already in (0, 1):
        command = [sys.executable, "-c", run, dbt, str(dead_already)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            if not dead_already:
                assert process.stdout.readline() == "runs\n"
                process.kill()
            started = time.monotonic()
            process.stdout.read()  # to the end of dbt
            assert time.monotonic() - started < 20
            process.kill()
