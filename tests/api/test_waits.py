"""A pause between requests, and an answer that does not come, say for whom, why and how long at most."""

from __future__ import annotations

import re
import time

import pytest

from onelens_claude import errors, waiting
from onelens_claude.api import client as client_module
from onelens_claude.fake_api import Fault

from .asking import DAY, PAGE, read, scripted
from .test_rate_limit import SimulatedTime, limit


@pytest.fixture(autouse=True)
def _each_test_is_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_speaker", waiting._Speaker())


def test_a_429_says_who_waits_how_long_and_why(make_world, connect, caplog):
    here = make_world(faults=[Fault("rate_limited", value="45")])
    read(connect(here.server.base_url), window=DAY)
    (told,) = caplog.messages
    expected = (
        r"acme: waiting 4[45] s for the next request: the API said 429 \(too many requests\) \(0 s so far, 4[45] s"
    )
    assert re.match(expected, told), told


def test_a_pace_so_slow_that_it_looks_like_a_standstill_is_told_as_what_it_is(tmp_path, caplog):
    slow = limit(tmp_path, per_minute=1)
    for _ in range(2):
        slow.acquire()
    assert caplog.messages[0].startswith(
        "acme: waiting 62 s for the next request: 1 requests a minute are allowed, to all processes together ("
    )


def test_the_usual_pace_is_not_worth_a_word(tmp_path, caplog):
    usual = limit(tmp_path, per_minute=60)
    for _ in range(20):
        usual.acquire()
    assert caplog.messages == []


def test_nobody_waits_without_end_while_the_api_tells_others_429(tmp_path):
    clock = SimulatedTime()
    limited, other = limit(tmp_path, clock=clock), limit(tmp_path, clock=clock)
    other.block(3600)
    waits = 0

    def pause(seconds: float) -> None:
        nonlocal waits
        waits += 1
        clock.sleep(seconds)
        other.block(3600)

    with pytest.raises(errors.ApiError, match=r"^acme: rate_limit_error: no request could leave for 180 minutes"):
        limited.acquire(pause)
    assert waits == 3


def test_a_pause_before_another_try_quotes_the_error_and_counts_the_tries(connect, caplog, monkeypatch):
    monkeypatch.setattr(client_module, "_wait", lambda _: 20.0)
    overloaded = (529, {"request-id": "req_7"}, b'{"error":{"type":"overloaded_error","message":"Overloaded"}}')
    with scripted(overloaded, (200, {}, PAGE)) as (base_url, _):
        read(connect(base_url), window=DAY)
    (told,) = caplog.messages
    assert told.startswith("acme: user_cost_report 2026-11-17: 529 overloaded_error: Overloaded (request req_7)")
    assert told.endswith(" - trying again in 20 s, time 2 of 3 (0 s so far, 20 s at most)")


def test_a_server_that_takes_its_time_is_named(connect, caplog, monkeypatch):
    monkeypatch.setattr(client_module, "_SLOW_SECONDS", 0.2)
    monkeypatch.setattr(waiting, "_TICK", 0.02)

    def later(_: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        deadline = time.monotonic() + 4
        while not caplog.messages and time.monotonic() < deadline:
            time.sleep(0.02)
        return 200, {}, PAGE

    with scripted(later) as (base_url, _):
        read(connect(base_url), window=DAY)
    (told,) = caplog.messages
    assert told.startswith(f"acme: user_cost_report 2026-11-17: waiting for the answer of {base_url} (")
    assert told.endswith(" s so far, 25 s at most)")
