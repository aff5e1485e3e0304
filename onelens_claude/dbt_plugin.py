"""What dbt does in its own process before it opens the file: `profiles.yml` names this plugin of dbt-duckdb.

In the profile, another path would make dbt parse the whole project anew, and an attached file is tried only once.

What is here: which file dbt opens, and for whom. What to add here: another setting that depends on the file.
What must not go here: the lock, which the run that started dbt holds (`files.py`); settings that never change.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin

from onelens_claude.folders import beside
from onelens_claude.warehouse.connections import connect_when_free
from onelens_claude.warehouse.files import WRITER_PROCESS

if TYPE_CHECKING:
    from dbt.adapters.duckdb.credentials import DuckDBCredentials

_OPEN_SECONDS, _TOLD_AFTER = 15.0, 1.0
_LOOK_SECONDS = 0.2


class Plugin(BasePlugin):
    """Opens the file that `ONELENS_WAREHOUSE` names, or else the profile's, when nobody else has it open.

    A dbt whose run was killed ends too: the run's lock is free then, and the next run writes.
    """

    def initialize(self, plugin_config: dict[str, Any]) -> None:  # noqa: ARG002 - dbt-duckdb's signature
        """Watch the process for which this dbt writes, if there is one."""
        if writer := os.environ.get(WRITER_PROCESS):
            threading.Thread(target=_end_with, args=(int(writer),), daemon=True).start()

    def update_connection_config(self, creds: DuckDBCredentials, config: dict[str, Any]) -> None:
        """Name the file and where to spill; wait up to 15 s for a program that takes a look at the file."""
        (attached,) = creds.attach or []
        attached.path = os.environ.get("ONELENS_WAREHOUSE") or attached.path
        path = Path(attached.path)
        config["temp_directory"] = str(beside(path, ".tmp"))
        with suppress(duckdb.Error):  # dbt meets the error itself
            connect_when_free(path, seconds=_OPEN_SECONDS, told_after=_TOLD_AFTER).close()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)  # what it had begun is rolled back, as after `kill_dbt`
