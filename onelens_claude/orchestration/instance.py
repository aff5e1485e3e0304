"""The Dagster instance of the command line: where it lives, and its first set-up.

`DAGSTER_HOME` names it; by default it is `.dagster` beside the settings file.

What is here: preparing the home. What to add here: other upkeep of the folder.
What must not go here: starting runs (`cli`), runs that were killed (`dead_runs.py`), what a run does (`assets`).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import dagster as dg
from filelock import FileLock
from sqlalchemy.exc import DBAPIError

from onelens_claude.errors import SettingsError
from onelens_claude.folders import plain_folder
from onelens_claude.orchestration.event_log import BATCH_SIZE, BATCH_VARIABLE
from onelens_claude.paths import PROJECT_ROOT
from onelens_claude.settings import config_path

_OUR_HEADER = "# The Dagster instance for local use."


def prepare_home() -> Path:
    """Make DAGSTER_HOME usable and set it; several processes at once may call this.

    Opening a fresh home from several processes breaks its migrations for good, so the first use is under a lock.
    """
    home = Path(os.environ.get("DAGSTER_HOME") or config_path().parent / ".dagster").expanduser().absolute()
    os.environ.setdefault(BATCH_VARIABLE, BATCH_SIZE)
    try:
        home.mkdir(parents=True, exist_ok=True)
        home = plain_folder(home)  # Dagster names its files as URLs
        os.environ["DAGSTER_HOME"] = str(home)
        with FileLock(home / ".setup.lock"):
            _copy_instance_file(home / "dagster.yaml")
            with dg.DagsterInstance.get() as instance:
                instance.get_runs_count()
    except OSError as error:
        raise SettingsError(f"DAGSTER_HOME {home}: cannot be used: {error.strerror}") from None
    except DBAPIError as error:
        raise SettingsError(
            f"DAGSTER_HOME {home}: Dagster's log cannot be opened there: {error.orig}. Make room if the disk is full; "
            "a damaged log can be moved away, the warehouse does not need it"
        ) from None
    return home


def _copy_instance_file(target: Path) -> None:
    """Put our dagster.yaml there, also in place of one of an earlier version; a user's own file is left alone."""
    source = PROJECT_ROOT / "dagster.yaml"
    if target.exists():
        present = target.read_text(encoding="utf-8")
        if not present.startswith(_OUR_HEADER) or present == source.read_text(encoding="utf-8"):
            return
    fresh = target.with_name("dagster.yaml.new")
    shutil.copyfile(source, fresh)
    fresh.replace(target)
