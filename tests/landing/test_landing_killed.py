"""The machine fails: a full disk, Ctrl-C, a kill at any moment, two at once; everything is held once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from filelock import FileLock, Timeout

from onelens_claude.errors import WarehouseError
from onelens_claude.fake_api import Fault
from tests.landing.landed import (
    COSTS_BY_DAY,
    FIRST,
    LAST,
    assert_holds_the_truth,
    assert_nothing_half_or_twice,
    statuses,
)
from tests.worlds import small_pages

# the machine fails


def test_a_warehouse_that_cannot_be_written_is_one_clear_error_before_anything_is_asked(make_world):
    here = make_world()
    here.settings.warehouse_path.parent.write_text("a file in the folder's place")
    with pytest.raises(WarehouseError, match="data: cannot be created: "):
        here.land("users", FIRST, LAST)
    assert here.requests() == []


@pytest.mark.parametrize("name", ["spool", "quarantine"])
def test_a_folder_beside_the_warehouse_that_cannot_be_made_is_one_clear_error(make_world, name):
    here = make_world(faults=[Fault("bad_amount", times=None)])
    here.settings.warehouse_path.parent.mkdir()
    (here.settings.warehouse_path.parent / name).write_text("a file in the folder's place")
    with pytest.raises(WarehouseError, match=f"{name}.*cannot be kept"):
        here.land("user_cost_report", FIRST, LAST)


FULL_DISK = """
import resource, sys
from onelens_claude.api.endpoints import ENDPOINTS
from onelens_claude.errors import WarehouseError
from onelens_claude.orchestration.resources import Onelens
import datetime as dt
onelens = Onelens()
with onelens.warehouse().writer():
    pass
wal = sys.argv[1] == "warehouse"
if wal:
    from onelens_claude.landing import work
    real = work.append_pulls
    def append_pulls(*arguments, **more):
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        return real(*arguments, **more)
    work.append_pulls = append_pulls
else:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    onelens.landing("users").land(ENDPOINTS["user_cost_report"], {"acme": [dt.date(2026, 11, day) for day in range(1, 20)]})
except WarehouseError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("full", "words"),
    [
        ("spool", "pages cannot be kept there until they are loaded: File too large"),
        ("warehouse", "onelens.duckdb: cannot be written: "),
    ],
)
def test_a_disk_that_fills_up_ends_the_landing_with_one_clear_error(make_world, full, words):
    here = make_world()
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, full], capture_output=True, text=True, timeout=60, check=False
    )
    assert words in done.stdout, done.stderr
    assert done.stderr == ""
    assert not (here.settings.warehouse_path.parent / "quarantine").exists()
    here.land("user_cost_report", FIRST, LAST)
    assert_holds_the_truth(here)


INTERRUPTED = """
import datetime as dt, signal
from onelens_claude.api.endpoints import ENDPOINTS
from onelens_claude.orchestration.resources import Onelens
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
print("begins", flush=True)
try:
    Onelens().landing("users").land(ENDPOINTS["users"], {"acme": [dt.date(2026, 11, day) for day in range(1, 20)]})
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_ctrl_c_ends_at_once_although_requests_wait_for_minutes(make_world):
    here = make_world(faults=[Fault("rate_limited", value="300", after=2, times=None)])
    with subprocess.Popen([sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        deadline = time.monotonic() + 20
        while len(here.requests()) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.3)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "interrupted\n"
        assert process.wait(20) == 0
    assert time.monotonic() - began < 5
    assert list((here.settings.warehouse_path.parent / "spool").iterdir()) == []


# killed at any moment, and two at once

LANDING = """
import datetime as dt, itertools, os, signal, sys
from dataclasses import replace
from onelens_claude.landing import appending, asking, work
from onelens_claude.api.endpoints import ENDPOINTS
from onelens_claude.orchestration.resources import Onelens

point, number = sys.argv[1], int(sys.argv[2])
work._BATCH_PULLS = 3

def kill_at(module, name, before):
    real, calls = getattr(module, name), itertools.count(1)
    def wrapped(*arguments, **more):
        call = next(calls)  # several threads call at once
        if call == number and before:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*arguments, **more)
        if call == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(module, name, wrapped)

if point != "none":
    module, name, when = point.split(" ")
    kill_at({"appending": appending, "asking": asking, "work": work}[module], name, when == "before")
print("begins", flush=True)
endpoint = replace(ENDPOINTS["user_cost_report"], window_days=1)
Onelens().landing("user_cost_report").land(endpoint, {"acme": [dt.date(2026, 11, day) for day in range(1, 20)]}, run_id=point)
"""
POINTS = [
    ("asking fetch after", 7),
    ("appending _insert_rows before", 2),
    ("appending _insert_ledger_row after", 5),
    ("work append_pulls after", 2),
]


def run_landing(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", LANDING, *arguments], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(("point", "number"), POINTS, ids=lambda value: str(value).replace(" ", "_"))
def test_a_landing_killed_in_the_act_and_run_again_holds_everything_once(make_world, point, number):
    here = make_world()
    with run_landing(point, str(number)) as process:
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    if here.settings.warehouse_path.exists():
        held = here.query("select count(*) from claude_raw.pulls")[0][0]
        if held:
            assert_nothing_half_or_twice(here)
    assert set(statuses(here.land(COSTS_BY_DAY, FIRST, LAST))) == {"loaded"}
    assert_holds_the_truth(here)
    assert list((here.settings.warehouse_path.parent / "spool").iterdir()) == []


def test_a_landing_killed_again_and_again_at_random_moments_holds_everything_once(make_world):
    here = make_world(faults=[Fault("slow", seconds=0.02, times=None)])
    moment = random.Random(int(os.environ.get("ONELENS_TEST_SEED", "7")))
    for _ in range(3):
        with run_landing("none", "0") as process:
            assert process.stdout
            process.stdout.readline()
            time.sleep(moment.uniform(0.05, 0.6))
            process.kill()
    here.land(COSTS_BY_DAY, FIRST, LAST)
    assert_holds_the_truth(here)
    assert list((here.settings.warehouse_path.parent / "spool").iterdir()) == []


def test_landings_of_another_process_and_of_threads_at_the_same_time_all_hold(make_world):
    here = make_world()
    with run_landing("none", "0") as process:
        assert process.stdout
        process.stdout.readline()
        endpoints = ["user_cost_report", "users", COSTS_BY_DAY]
        with ThreadPoolExecutor() as executor:
            outcomes = list(executor.map(lambda endpoint: here.land(endpoint, FIRST, LAST), endpoints))
        assert process.wait(60) == 0
    assert all(set(statuses(found)) == {"loaded"} for found in outcomes)
    assert here.query("select count(*) from claude_raw.pulls where endpoint = 'user_cost_report'") == [(19 * 2 + 1,)]
    assert_holds_the_truth(here)
    assert_nothing_half_or_twice(here, "users")


def test_while_a_landing_waits_for_an_answer_others_can_write(make_world, monkeypatch):
    here = make_world()
    api, warehouse = here.server.api, here.onelens.warehouse()
    answer = api.answer
    could_write = []

    def look_and_answer(*request: Any) -> Any:
        try:
            with FileLock(warehouse.lock_path, blocking=False):
                could_write.append(True)
        except Timeout:
            could_write.append(False)
        return answer(*request)

    monkeypatch.setattr(api, "answer", look_and_answer)
    outcomes = here.land(small_pages("user_cost_report"), FIRST, LAST)  # one pull: it is stored after its last page
    assert set(statuses(outcomes)) == {"loaded"}
    assert could_write == [True] * len(here.requests())
    assert len(could_write) > 10
