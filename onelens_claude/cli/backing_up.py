"""`backup`: a consistent copy of the warehouse, while runs go on.

What is here: the command and what it says. What must not go here: the copy itself (`warehouse/backup.py`).
"""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads it
from typing import Annotated

import typer

from onelens_claude.cli.output import JSON_OPTION, note, print_json
from onelens_claude.settings import load_settings
from onelens_claude.warehouse.backup import back_up
from onelens_claude.warehouse.files import Warehouse


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the copy goes; a file that is not there yet.")],
    as_json: bool = JSON_OPTION,
) -> None:
    """Write a consistent copy of the warehouse to a file, also while runs go on.

    To go back to it, copy it to `warehouse.path` while nothing runs, and run `daily`, which pulls what is newer again.
    The alert log is a file of its own and stays as it is.
    """
    settings = load_settings(needs_keys=False)
    target = file.expanduser().absolute()
    source = back_up(Warehouse.of(settings), target)
    size = target.stat().st_size
    is_published = source == settings.serving_path
    if as_json:
        print_json({"file": str(target), "bytes": size, "source": str(source)})
        return
    moment = "was published last" if is_published else "is now"
    note(f"{target}: {size:,} bytes, the warehouse as it {moment}.")
    if is_published and settings.warehouse_path.exists():
        note("A run is writing: what it adds is not in the copy.")
