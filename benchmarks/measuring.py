"""CPU seconds and peak memory of a process and everything it started, and of nothing else.

The measuring process stays small: before a child runs its own program, the kernel counts its parent's memory.

What is here: running a process and counting it, and serving while it runs. What to add here: another figure that the
kernel keeps of a process. What must not go here: what is measured.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PROJECT_ROOT = Path(__file__).resolve().parent.parent


class FailedError(Exception):
    """A measured process ended with an error."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run of one process tree."""

    cpu_seconds: float
    wall_seconds: float
    peak_mb: float
    """Resident memory of the largest process, 10^6 bytes."""
    result: dict[str, Any]
    """What the process itself wrote."""


def median(measurements: Sequence[Measurement]) -> Measurement:
    """Return the median of the seconds, the worst of the memory, the result of the last run."""
    return Measurement(
        statistics.median(one.cpu_seconds for one in measurements),
        statistics.median(one.wall_seconds for one in measurements),
        max(one.peak_mb for one in measurements),
        measurements[-1].result,
    )


def run(
    arguments: Sequence[str], *, environment: Mapping[str, str] | None = None, ok: tuple[int, ...] = (0,)
) -> Measurement:
    """Run one command to its end; `{result}` in an argument becomes a file whose JSON is returned.

    Raises FailedError with the end of what it printed when it fails.
    """
    with tempfile.TemporaryDirectory(prefix="onelens-bench-") as folder:
        result, log = Path(folder) / "result.json", Path(folder) / "log"
        command = [argument.replace("{result}", str(result)) for argument in arguments]
        with log.open("wb") as output:
            started = time.monotonic()
            process = subprocess.Popen(  # noqa: S603 - our own commands
                command, stdout=output, stderr=output, env={**os.environ, **(environment or {})}, cwd=PROJECT_ROOT
            )
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.monotonic() - started
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in ok:
            said = log.read_text(errors="replace")[-3000:]
            raise FailedError(f"{' '.join(command)} ended with {process.returncode}:\n{said}")
        return Measurement(
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            wall_seconds=wall,
            peak_mb=usage.ru_maxrss * 1024 / 1e6,
            result=json.loads(result.read_text()) if result.exists() else {},
        )


def python(module: str, *arguments: object) -> list[str]:
    """Return the command that runs a module with this Python."""
    return [sys.executable, "-m", module, *(str(argument) for argument in arguments)]


@contextmanager
def serving(command: Sequence[str], **environment: str) -> Iterator[str]:
    """Run a server beside the measured processes; yield the address it prints first."""
    process = subprocess.Popen(  # noqa: S603 - our own commands
        command, stdout=subprocess.PIPE, env={**os.environ, **environment}, cwd=PROJECT_ROOT, text=True
    )
    try:
        address = process.stdout.readline().strip() if process.stdout else ""
        if not address:
            raise FailedError(f"{' '.join(command)} did not start")
        yield address
    finally:
        process.terminate()
        process.wait()
        if process.stdout:
            process.stdout.close()
