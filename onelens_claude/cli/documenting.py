"""`docs`: the catalogue of models and columns as one HTML file, built offline."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from onelens_claude.cli.output import note
from onelens_claude.dbt_command import run_dbt
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
        build = ["build", "--resource-type", "seed", "--resource-type", "model"]
        for arguments in (build, ["docs", "generate", "--static", "--no-compile"]):
            run_dbt(warehouse.path, *arguments, target=target)
        out.mkdir(parents=True, exist_ok=True)
        page = out / "index.html"
        shutil.copyfile(target / "static_index.html", page)
    note(f"Open {page}.")
