"""Running dbt over one database file outside Dagster: the catalogue and what is measured need no run of a job.

What is here: the command. What to add here: nothing that only one of its callers needs.
What must not go here: the builds of the warehouse, which are assets (`orchestration/assets/dbt.py`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from onelens_claude.errors import DbtError
from onelens_claude.paths import DBT_PROJECT, dbt_target


def run_dbt(path: Path, *arguments: str, target: Path) -> None:
    """Run a dbt command over the file at `path`. Raises DbtError with what dbt said.

    `target` is where dbt writes; a new one begins with what is parsed already.
    """
    parsed = dbt_target() / "partial_parse.msgpack"
    if parsed.exists() and not target.exists():
        target.mkdir(parents=True)
        shutil.copyfile(parsed, target / parsed.name)
    command = [str(Path(sys.executable).with_name("dbt")), "--no-use-colors", *arguments]
    done = subprocess.run(  # noqa: S603 - our own arguments
        [*command, "--target-path", str(target), "--log-path", str(path.parent)],
        cwd=DBT_PROJECT,
        env={**os.environ, "ONELENS_WAREHOUSE": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DbtError(f"dbt {arguments[0]} failed over {path}:\n{(done.stdout + done.stderr).strip()}")
