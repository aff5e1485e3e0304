"""A wait says at once, and again and again, what it is for and how long it may last."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING

import pytest

from onelens_claude import waiting
from onelens_claude.waiting import waiting as wait_for

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "EVERY_SECONDS", 0.3)
    monkeypatch.setattr(waiting, "_TICK", 0.02)


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@pytest.mark.usefixtures("hurried")
def test_the_first_line_comes_at_once_and_another_each_period_until_the_wait_ends(caplog):
    with wait_for("acme: waiting for its turn", limit=45):
        assert caplog.messages == ["acme: waiting for its turn (0 s so far, 45 s at most)"]
        until(lambda: len(caplog.messages) == 3)
    time.sleep(0.5)
    assert len(caplog.messages) == 3


@pytest.mark.usefixtures("hurried")
def test_a_wait_that_is_usually_short_is_told_only_when_it_lasts(caplog):
    with wait_for("short", limit=300, after=0.5):
        time.sleep(0.1)
    with wait_for("long", limit=300, after=0.5):
        until(lambda: bool(caplog.messages))
    assert re.fullmatch(r"long \([01] s so far, 5 min at most\)", caplog.messages[0])


@pytest.mark.usefixtures("hurried")
def test_threads_that_wait_for_the_same_share_their_lines_and_other_waits_have_their_own(caplog):
    gate = threading.Event()

    def wait(number: int) -> None:
        with wait_for(f"thread {number}", limit=7200, topic="the same"):
            gate.wait()

    threads = [threading.Thread(target=wait, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: bool(caplog.messages))
    with wait_for(lambda: f"asked for {len(caplog.messages)}", limit=1, topic="another"):
        until(lambda: sum(line.startswith("thread") for line in caplog.messages) == 2)
    gate.set()
    for thread in threads:
        thread.join()
    words = [line.split(" (")[0] for line in caplog.messages]
    assert "2 h at most" in caplog.messages[0]
    told = [line for line in words if line.startswith("asked")]
    assert len(told) == len(set(told)) >= 2  # what is waited for is asked anew for each line
