"""The processes of `dev`: the protected webserver and the daemon, which live and end together.

What is here: starting both, passing on what they say, and ending them. What to add here: another process of the UI.
What must not go here: which settings they serve (`demoing.py`), what the webserver refuses (`orchestration`).
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import IO

import typer

from onelens_claude.cli.output import note
from onelens_claude.orchestration.instance import prepare_home
from onelens_claude.paths import PROJECT_ROOT
from onelens_claude.settings import config_path

_WEBSERVER = "onelens_claude.orchestration.webserver"
_DAEMON = "dagster._daemon"
_LOOK_EVERY = 0.3
_MOMENT = 0.7
"""Seconds until what was asked to end is killed; the next run repairs what it left."""
_EVERY_STEP = re.compile(r" - (DEBUG|INFO) - ")
"""Runs write each of their events to their terminal; they are in the UI."""


def serve(port: int) -> None:
    """Run both until one ends, which ends the other and is an error, or until the command is stopped."""
    home = prepare_home()
    workspace = ["--workspace", str(PROJECT_ROOT / "workspace.yaml")]
    note(f"Opening http://127.0.0.1:{port} (stop with Ctrl-C).")
    address = ["--host", "127.0.0.1", "--port", str(port)]
    quiet = ["--dagster-log-level", "warning", "--uvicorn-log-level", "warning"]
    processes = {
        "webserver": [_WEBSERVER, *workspace, *address, *quiet, "--live-data-poll-rate", "2000"],
        "daemon": [_DAEMON, "run", *workspace, "--log-level", "warning"],
    }
    # Dagster runs in its home: in another folder it would warn that it does not use the dagster.yaml there.
    environment = {**os.environ, "ONELENS_CONFIG": str(config_path()), "PYTHONWARNINGS": "ignore"}
    running: dict[str, subprocess.Popen[str]] = {}
    try:
        for name, arguments in processes.items():
            running[name] = subprocess.Popen(  # noqa: S603 - our own arguments
                [sys.executable, "-m", *arguments],
                cwd=home,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,  # the terminal's Ctrl-C is ours: they would answer it with tracebacks
            )
            threading.Thread(target=_pass_on, args=[running[name].stdout], daemon=True).start()
        while not (ended := [name for name, process in running.items() if process.poll() is not None]):
            time.sleep(_LOOK_EVERY)
    finally:
        _end(list(running.values()))
    note(f"Dagster's {ended[0]} ended (exit code {running[ended[0]].returncode}); what it said is above.")
    raise typer.Exit(1)


def _pass_on(said: IO[str]) -> None:
    for line in said:
        if not _EVERY_STEP.search(line):
            sys.stderr.write(line)
            sys.stderr.flush()


def _end(processes: list[subprocess.Popen[str]]) -> None:
    """End both with everything they started: code servers, runs and their dbt."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
        deadline = time.monotonic() + _MOMENT
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
