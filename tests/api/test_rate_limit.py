"""Never more than the limit in any 60 seconds, over threads and processes; a 429 holds up everybody."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onelens_claude.api.rate_limit import SharedRateLimit
from onelens_claude.errors import SettingsError
from onelens_claude.fake_api import Fault
from onelens_claude.folders import state_directory

if TYPE_CHECKING:
    from pathlib import Path

BASE_URL = "http://127.0.0.1:1"


class SimulatedTime:
    """A clock that several simulated processes share; sleeping moves it on, if nobody else did already."""

    def __init__(self) -> None:
        self.moment = 1_800_000_000.0
        self.lock = threading.Lock()

    def now(self) -> float:
        return self.moment

    def sleep(self, seconds: float) -> None:
        with self.lock:
            self.moment += seconds


def limit(
    folder: Path, per_minute: int = 60, *, clock: SimulatedTime | None = None, organization: str = "acme"
) -> SharedRateLimit:
    clock = clock or SimulatedTime()
    return SharedRateLimit(organization, BASE_URL, per_minute, folder=folder, now=clock.now, sleep=clock.sleep)


def most_in_a_minute(moments: list[float]) -> int:
    moments = sorted(moments)
    return max(sum(start <= other < start + 60 for other in moments) for start in moments)


@pytest.mark.parametrize("per_minute", [1, 7, 49, 50, 60, 600])
def test_no_minute_ever_holds_more_than_the_limit(tmp_path, per_minute):
    clock = SimulatedTime()
    limits = [limit(tmp_path, per_minute, clock=clock) for _ in range(4)]  # as many processes
    left = []
    for number in range(per_minute * 3 + 5):
        limits[number % 4].acquire()
        left.append(clock.moment)
    assert most_in_a_minute(left) <= per_minute
    # and the limit is used: three minutes' worth takes little more than three minutes
    assert left[-1] - left[0] < 3 * 60 * 1.3 + 5 * 65 / per_minute


@settings(max_examples=30, deadline=None)
@given(
    pauses=st.lists(st.just(0.0) | st.floats(0, 90), min_size=1, max_size=150), per_minute=st.sampled_from([20, 50, 60])
)
def test_no_minute_holds_more_whatever_pauses_lie_between(tmp_path_factory, pauses, per_minute):
    clock = SimulatedTime()
    shared = limit(tmp_path_factory.mktemp("rate"), per_minute, clock=clock)
    left = []
    for pause in pauses:
        clock.sleep(pause)
        shared.acquire()
        left.append(clock.moment)
    assert most_in_a_minute(left) <= per_minute


def test_a_block_holds_up_every_process(tmp_path):
    clock = SimulatedTime()
    one, other = limit(tmp_path, clock=clock), limit(tmp_path, clock=clock)
    began = clock.moment
    one.block(30)
    other.acquire()
    assert clock.moment - began >= 30


def test_a_block_also_holds_up_who_waits_already(tmp_path):
    clock = SimulatedTime()
    one, other = limit(tmp_path, 6, clock=clock), limit(tmp_path, 6, clock=clock)
    one.acquire()
    began = clock.moment

    def sleep(seconds: float) -> None:
        if clock.moment == began:  # while it waits for its turn, another process is told to wait for 40 seconds
            one.block(40)
        clock.sleep(seconds)

    other.acquire(sleep)
    assert clock.moment - began >= 40


def test_organisations_and_hosts_do_not_share_a_limit(tmp_path):
    clock = SimulatedTime()
    limit(tmp_path, clock=clock).block(1000)
    assert limit(tmp_path, clock=clock, organization="globex").acquire() == 0
    elsewhere = SharedRateLimit("acme", "http://127.0.0.1:2", 60, folder=tmp_path, now=clock.now, sleep=clock.sleep)
    assert elsewhere.acquire() == 0


@pytest.mark.parametrize("seconds", [1e9, float("inf")])
def test_an_endless_block_ends_after_an_hour(tmp_path, seconds):
    clock = SimulatedTime()
    shared = limit(tmp_path, clock=clock)
    shared.block(seconds)
    assert 3599 < shared.acquire() < 3601


def test_a_clock_set_back_does_not_hold_up_the_work_for_long(tmp_path):
    clock = SimulatedTime()
    shared = limit(tmp_path, clock=clock)
    for _ in range(100):
        shared.acquire()
    clock.moment -= 86_400
    assert shared.acquire() <= 601


@pytest.mark.parametrize("content", [b"", b"short", b"far too long for two numbers"])
def test_a_damaged_state_file_is_begun_anew(tmp_path, content):
    shared = limit(tmp_path)
    shared.acquire()
    next(tmp_path.glob("*.rate")).write_bytes(content)
    shared.acquire()
    assert len(next(tmp_path.glob("*.rate")).read_bytes()) >= 16


def test_the_state_is_never_seen_empty_while_it_is_written(tmp_path):
    """A process killed between emptying and filling the file would make the others forget their requests."""
    shared = limit(tmp_path, 100_000)
    shared.acquire()
    state = next(tmp_path.glob("*.rate"))
    sizes = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            sizes.add(state.stat().st_size)

    with ThreadPoolExecutor(1) as executor:
        watching = executor.submit(watch)
        for _ in range(300):
            shared.acquire()
        stop.set()
        watching.result()
    assert sizes == {16}


def test_threads_take_turns(tmp_path):
    shared = SharedRateLimit("acme", BASE_URL, 1200, folder=tmp_path)
    began = time.time()  # on a busy machine the first thread may note its moment late
    with ThreadPoolExecutor(8) as executor:
        left = sorted(executor.map(lambda _: (shared.acquire(), time.time())[1], range(24)))
    assert left[-1] - began >= 22 * 60 / 1200
    assert sum(after - before < 0.01 for before, after in pairwise(left)) <= 12


WORKER = """
import sys, time
from pathlib import Path
from onelens_claude.fake_api import Fault
from onelens_claude.api.rate_limit import SharedRateLimit
shared = SharedRateLimit("acme", "http://127.0.0.1:1", 600, folder=Path(sys.argv[1]))
while time.time() < float(sys.argv[2]):
    time.sleep(0.001)
for _ in range(10):
    shared.acquire()
    print(repr(time.time()))
"""


def test_real_processes_share_one_limit(tmp_path):
    start = time.time() + 1.0
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path), repr(start)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    moments = sorted(float(line) for worker in workers for line in worker.communicate(timeout=30)[0].split())
    assert all(worker.returncode == 0 for worker in workers)
    assert len(moments) == 30
    assert moments[-1] - moments[0] >= 28 * 60 / 600  # 30 requests at 10 a second, two at once at the start


def test_the_state_folder_is_of_this_user_only(write_settings, tmp_path):
    write_settings({"acme": ("k", "http://127.0.0.1:1")})
    folder = state_directory()
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o777 == 0o700
    assert str(os.getuid()) in folder.name


@pytest.mark.parametrize("trap", ["link", "folder of another user"])
def test_a_trap_in_a_shared_temporary_folder_is_refused_and_nothing_is_written_through_it(tmp_path, monkeypatch, trap):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    victim = tmp_path / "victim"
    victim.mkdir()
    planted = tmp_path / f"onelens-claude-{os.getuid()}"
    if trap == "link":
        planted.symlink_to(victim)
    else:
        planted.mkdir()
        us = os.getuid() + 1
        monkeypatch.setattr("os.getuid", lambda: us)
        planted = planted.rename(tmp_path / f"onelens-claude-{us}")
    with pytest.raises(SettingsError, match=rf"{planted}: is a link or belongs to another user.*TMPDIR"):
        SharedRateLimit("acme", "https://api.anthropic.com", 60)
    assert [*victim.iterdir(), *planted.iterdir()] == []


def test_a_state_folder_of_our_own_that_others_can_open_is_closed_and_no_link_in_it_is_written_through(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = tmp_path / f"onelens-claude-{os.getuid()}"
    folder.mkdir(mode=0o755)
    limit = SharedRateLimit("acme", "https://api.anthropic.com", 60)
    assert folder.stat().st_mode & 0o777 == 0o700
    limit.acquire()
    (state,) = folder.glob("*.rate")
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    state.unlink()
    state.symlink_to(victim)
    with pytest.raises(SettingsError, match="the rate limit's state cannot be kept there"):
        limit.acquire()
    assert victim.read_text() == "untouched"


def test_a_state_folder_that_cannot_be_made_is_one_clear_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    with pytest.raises(SettingsError, match="the rate limit's state cannot be kept there: Not a directory"):
        state_directory()


def test_a_state_that_cannot_be_written_is_one_clear_error_that_names_it(tmp_path):
    limit = SharedRateLimit("acme", "https://api.anthropic.com", 60, folder=tmp_path)
    limit.acquire()
    (state,) = tmp_path.glob("*.rate")
    state.unlink()
    state.mkdir()
    with pytest.raises(SettingsError, match=rf"{state}: the rate limit's state cannot be kept there: .*TMPDIR"):
        limit.acquire()


READER = """
import sys, time
from onelens_claude.api.endpoints import ENDPOINTS
from onelens_claude.api.windows import Window
from onelens_claude.orchestration.resources import Onelens
import datetime as dt
onelens = Onelens()
client = onelens.client(onelens.settings().organizations[0])
for number in range(int(sys.argv[1])):
    day = dt.date(2026, 11, 1) + dt.timedelta(days=number)
    users = ENDPOINTS["users"]
    list(client.pages(users, users.queries[0], Window(day, day + dt.timedelta(days=1))))
"""


def test_when_one_process_is_told_to_wait_the_others_send_nothing_either(make_world):
    """Three processes read one organisation; one of their requests is answered with 429 and `retry-after: 2`."""
    here = make_world(faults=[Fault("rate_limited", after=9, value="2")], polling={"requests_per_minute": 1200})
    arrivals: list[tuple[float, int]] = []

    class Timed(deque[Any]):
        def append(self, entry):
            arrivals.append((time.monotonic(), entry.status))
            super().append(entry)

    here.server.api.log = Timed()
    readers = [subprocess.Popen([sys.executable, "-c", READER, "12"]) for _ in range(3)]
    assert [reader.wait(timeout=60) for reader in readers] == [0, 0, 0]
    (refused,) = [moment for moment, status in arrivals if status == 429]
    assert len(arrivals) == 3 * 12 + 1
    # what was on its way already may still arrive; nothing leaves until the wait is over
    assert not [moment for moment, _ in arrivals if refused + 0.5 < moment < refused + 1.9]
    assert [moment for moment, _ in arrivals if moment >= refused + 1.9]
