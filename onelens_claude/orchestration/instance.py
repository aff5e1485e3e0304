"""The Dagster instance of the command line: where it lives, its first set-up, and runs that were killed.

`DAGSTER_HOME` names it; by default it is `.dagster` beside the settings file.

What is here: preparing the home and cleaning up after killed commands. What to add here: other upkeep of the instance.
What must not go here: starting runs (`cli`), what a run does (`assets`).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import dagster as dg
from filelock import FileLock

from onelens_claude.errors import SettingsError
from onelens_claude.orchestration.event_log import BATCH_SIZE, BATCH_VARIABLE
from onelens_claude.paths import PROJECT_ROOT
from onelens_claude.settings import config_path

PROCESS_TAG = "onelens/process"
"""Tag of runs that execute in a command's own process: host, process id and its start."""
_OUR_HEADER = "# The Dagster instance for local use."
_IN_PROGRESS = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def prepare_home() -> Path:
    """Make DAGSTER_HOME usable and set it; several processes at once may call this.

    Opening a fresh home from several processes breaks its migrations for good, so the first use is under a lock.
    """
    home = Path(os.environ.get("DAGSTER_HOME") or config_path().parent / ".dagster").expanduser().absolute()
    os.environ["DAGSTER_HOME"] = str(home)
    os.environ.setdefault(BATCH_VARIABLE, BATCH_SIZE)
    try:
        home.mkdir(parents=True, exist_ok=True)
        with FileLock(home / ".setup.lock"):
            _copy_instance_file(home / "dagster.yaml")
            with dg.DagsterInstance.get() as instance:
                instance.get_runs_count()
    except OSError as error:
        raise SettingsError(f"DAGSTER_HOME {home}: cannot be used: {error.strerror}") from None
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


def process_tag() -> dict[str, str]:
    """Return the tag that lets a later command see whether this process still runs."""
    return {PROCESS_TAG: f"{os.uname().nodename}:{os.getpid()}:{_started(os.getpid())}"}


def end_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs of commands that were killed as failed and free their pool slot; return their ids."""
    ended = []
    for run in instance.get_runs(filters=dg.RunsFilter(statuses=_IN_PROGRESS)):
        tag = run.tags.get(PROCESS_TAG)
        if tag and not _is_alive(tag):
            instance.report_run_failed(run, "The command that executed this run was killed.")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            ended.append(run.run_id)
    return ended


def _is_alive(tag: str) -> bool:
    host, process_id, started = tag.rsplit(":", 2)
    return host != os.uname().nodename or _started(int(process_id)) == started


def _started(process_id: int) -> str:
    """Return when a process started, in the kernel's ticks; empty when there is none or the system does not say."""
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8")
    except OSError:
        try:
            os.kill(process_id, 0)
        except ProcessLookupError:
            return "gone"
        except PermissionError:
            pass
        return ""
    return stat.rsplit(")", 1)[1].split()[19]
