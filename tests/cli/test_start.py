"""A command starts without what it does not need, and its help is whole."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from onelens_claude.cli import COMMANDS
from onelens_claude.warehouse.files import Warehouse
from tests.worlds import run_main

if TYPE_CHECKING:
    from tests.worlds import World

SLOW = {"dagster", "dagster_dbt", "dbt", "numpy", "pandas", "starlette", "uvicorn"}
IMPORTED = """
import json, sys
from onelens_claude.cli import main
sys.argv[0] = "onelens-claude"
code = 0
try:
    main()
except SystemExit as error:
    code = error.code or 0
print(json.dumps([code, sorted({name.split(".")[0] for name in sys.modules})]), file=sys.stderr)
"""


def imported(world: World, *arguments: str) -> set[str]:
    """Run a command in a fresh interpreter; return the packages it imported."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, *arguments],
        env={"PATH": "", "HOME": str(world.folder), **world.variables()},
        capture_output=True,
        text=True,
        check=True,
    )
    code, packages = json.loads(done.stderr.splitlines()[-1])
    assert code == 0, done.stderr
    return set(packages)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["status", "--help"], ["query", "--help"]])
def test_help_imports_neither_dagster_nor_the_local_server(world, arguments):
    found = imported(world, *arguments)
    assert "typer" in found
    assert not SLOW & found
    if arguments[0].startswith("--"):
        assert not {"duckdb", "pydantic", "requests", "rich"} & found


def test_looking_at_the_serving_copy_imports_neither_dagster_nor_the_local_server(world):
    files = Warehouse(world.warehouse, world.serving)
    with files.writer():
        pass
    files.publish()
    assert not SLOW & imported(world, "query", "select count(*) from claude_raw.pulls")
    # DuckDB itself imports pandas, where it is installed, to bind a statement's first parameter
    assert SLOW & imported(world, "status") <= {"numpy", "pandas"}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_summary_of_a_command_is_the_first_sentence_of_its_help(name):
    place = COMMANDS[name]
    function = getattr(import_module(f"onelens_claude.{place.module}"), place.function)
    first = inspect.cleandoc(function.__doc__ or "").split("\n\n")[0].replace("\n", " ")
    assert first.startswith(place.summary)


def test_no_summary_is_cut(capsys):
    assert run_main(["--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "..." not in text.partition("Commands:")[2]
    assert all(place.summary in text for place in COMMANDS.values())
