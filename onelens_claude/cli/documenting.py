"""`docs`: the catalogue of models and columns as one HTML file, built offline."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from onelens_claude.cli.output import note
from onelens_claude.paths import DBT_PROJECT, dbt_target
from onelens_claude.warehouse.files import Warehouse


def docs(
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where index.html goes.")] = Path("site"),
) -> None:
    """Write the catalogue of every table and column as one HTML file.

    It is built over an empty warehouse: it describes the tables, not what is in them.
    """
    with tempfile.TemporaryDirectory(prefix="onelens-docs-") as folder:
        warehouse = Warehouse(Path(folder, "onelens.duckdb"), Path(folder, "serving.duckdb"))
        with warehouse.writer():
            pass
        target = Path(folder, "target")
        target.mkdir()
        if (parsed := dbt_target() / "partial_parse.msgpack").exists():  # dbt parses only what has changed since
            shutil.copyfile(parsed, target / parsed.name)
        build = ["build", "--resource-type", "seed", "--resource-type", "model"]
        for arguments in (build, ["docs", "generate", "--static", "--no-compile"]):
            _dbt([*arguments, "--target-path", str(target)], warehouse)
        out.mkdir(parents=True, exist_ok=True)
        page = out / "index.html"
        shutil.copyfile(target / "static_index.html", page)
    note(f"Open {page}.")


def _dbt(arguments: list[str], warehouse: Warehouse) -> None:
    command = [str(Path(sys.executable).with_name("dbt")), *arguments, "--log-path", str(warehouse.path.parent)]
    done = subprocess.run(  # noqa: S603 - our own arguments
        command,
        cwd=DBT_PROJECT,
        env={**os.environ, "ONELENS_WAREHOUSE": str(warehouse.path), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        note(done.stdout + done.stderr)
        raise typer.Exit(1)
