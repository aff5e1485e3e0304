"""What a person at a terminal sees while a command works and waits, and when it is stopped."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
import time
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from onelens_claude.cli import runs
from onelens_claude.fake_api import Fault
from onelens_claude.orchestration import dead_runs
from onelens_claude.warehouse.files import Warehouse
from tests.worlds import COMMAND, processes_of

from .conftest import FIRST, LAST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.worlds import World

LAST_WORD = "Stopped. What is loaded stays; the same command goes on."
RANGE = ("--from", FIRST, "--to", LAST)


class Terminal:
    """A command in a terminal of its own; keys reach all its processes, as they do from a keyboard."""

    def __init__(self, world: World, *arguments: str) -> None:
        mine, its = pty.openpty()
        self._mine = mine
        self._output = bytearray()
        self.process = subprocess.Popen(
            [str(COMMAND), *arguments],
            env={**os.environ, **world.variables(), "TERM": "xterm", "COLUMNS": "160"},
            stdin=its,
            stdout=its,
            stderr=its,
            preexec_fn=_take_terminal,  # noqa: PLW1509 - only the child itself can take a terminal
        )
        os.close(its)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the end of a pty
            while chunk := os.read(self._mine, 65536):
                self._output += chunk

    @property
    def text(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._output.decode(errors="replace")).replace("\r", "\n")

    def press_ctrl_c(self) -> None:
        os.write(self._mine, b"\x03")

    def shows(self, pattern: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not re.search(pattern, self.text):
            assert self.process.poll() is None, self.text
            assert time.monotonic() < deadline, self.text[-3000:]
            time.sleep(0.02)

    def ends_within(self, seconds: float) -> int:
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self._mine)


def _take_terminal() -> None:
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.fixture
def at_a_terminal(world: World) -> Iterator[Callable[..., Terminal]]:
    with contextlib.ExitStack() as open_terminals:

        def start(*arguments: str) -> Terminal:
            terminal = Terminal(world, *arguments)
            open_terminals.callback(terminal.close)
            return terminal

        yield start


def test_ctrl_c_during_a_wait_ends_with_one_line_and_the_same_command_goes_on(world, at_a_terminal):
    api = world.servers["acme"].api
    api.faults.add(Fault("rate_limited", value="300", after=12, times=None))
    terminal = at_a_terminal("backfill", *RANGE)
    terminal.shows(r"connectors .* [1-4]/4 ")  # the bars move while the step runs
    terminal.shows(r"acme: waiting (300|299) s for the next request: the API said 429")
    began = time.monotonic()
    terminal.press_ctrl_c()
    assert terminal.ends_within(10) == 130
    assert time.monotonic() - began < 2.5
    after = terminal.text.rpartition("so far")[2]
    assert [line for line in after.splitlines() if line.strip()][-1] == LAST_WORD
    assert terminal.text.count(LAST_WORD) == 1
    assert "Traceback" not in terminal.text
    assert "Interrupt" not in terminal.text
    with world.instance() as instance:
        (run,) = instance.get_runs()
        assert run.status is dg.DagsterRunStatus.CANCELED
        assert instance.event_log_storage.get_concurrency_info("warehouse_writer").active_slot_count == 0
    assert not world.serving.exists()


def test_ctrl_c_while_dbt_builds_ends_it_too_and_nothing_is_published(world, at_a_terminal):
    terminal = at_a_terminal("backfill", *RANGE)
    log = world.folder / "data" / "dbt" / "dbt.log"
    while not (log.exists() and "START sql" in log.read_text()):
        assert terminal.process.poll() is None, terminal.text
        time.sleep(0.05)
    assert any("dbt build" in command for command in processes_of(world))
    terminal.press_ctrl_c()
    assert terminal.ends_within(10) == 130
    deadline = time.monotonic() + 3
    while processes_of(world) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_of(world) == []
    assert terminal.text.rstrip().endswith(LAST_WORD)
    assert "Traceback" not in terminal.text
    assert not world.serving.exists()


def test_sigterm_as_a_service_manager_sends_it_ends_a_command_the_same_way(world):
    world.servers["acme"].api.faults.add(Fault("rate_limited", value="300", times=None))
    process = world.start("daily")
    try:
        assert process.stderr
        told = ""
        while "the API said 429" not in told:
            told = process.stderr.readline()
            assert told, process.wait()
        began = time.monotonic()
        process.terminate()
        _, rest = process.communicate(timeout=10)
        assert time.monotonic() - began < 2.5
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert rest.splitlines()[-1] == LAST_WORD
    assert "Traceback" not in rest


HOLDS_A_SEMAPHORE = """
import multiprocessing, time
from onelens_claude import cli
def work(prog_name):
    held = multiprocessing.get_context("spawn").Semaphore()
    print("begins", flush=True)
    time.sleep(60)
cli.app = work
cli.main()
"""


def test_a_helper_process_that_outlives_a_stopped_command_says_nothing_after_the_last_word():
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS_A_SEMAPHORE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    process.stdout.readline()
    process.terminate()
    _, told = process.communicate(timeout=20)  # until the helper, too, has closed its end
    assert (process.returncode, told) == (128 + signal.SIGTERM, f"{LAST_WORD}\n")


def test_who_waits_for_the_writers_slot_says_who_has_it_and_goes_on_when_that_run_is_killed(world, monkeypatch):
    monkeypatch.setattr(runs, "_LOOK_EVERY", 0.1)
    sleeper = subprocess.Popen(["sleep", "300"])
    with Warehouse(world.warehouse, world.serving).writer():
        pass  # something to tidy
    with world.instance() as instance:
        number = sleeper.pid
        job = dg.GraphDefinition(name="somebodys").to_job()
        run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        tag = f"{os.uname().nodename}:{number}:{dead_runs._started(number)}:{run.run_id}"
        instance.add_run_tags(run.run_id, {dead_runs.PROCESS_TAG: tag})
        storage = instance.event_log_storage
        storage.set_concurrency_slots("warehouse_writer", 1)
        assert storage.claim_concurrency_slot("warehouse_writer", run.run_id, "a_step").is_claimed

        def kill_when_it_waits() -> None:
            while not storage.get_concurrency_info("warehouse_writer").pending_run_ids:
                time.sleep(0.05)
            time.sleep(0.5)
            sleeper.kill()
            sleeper.wait()

        killer = threading.Thread(target=kill_when_it_waits)
        killer.start()
        answer = world.good("tidy")
        killer.join()
    told = (
        f"Waiting for run {run.run_id[:8]} of somebodys (process {number}), which writes now (0 s so far, 12 h at most)"
    )
    assert told in answer.stderr
    with world.instance() as instance:
        assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.FAILURE
        (tidied,) = instance.get_runs(filters=dg.RunsFilter(job_name="housekeeping_job"))
    assert tidied.tags["onelens/command"] == "onelens-claude tidy"
