"""`watch` on the command line: what it prints, its exit codes, and how it goes on until it is stopped."""

from __future__ import annotations

import signal
import tempfile
from typing import TYPE_CHECKING

import pytest

from onelens_claude.cli.stopping import LAST_WORD
from tests.organizations import organization

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.worlds import World


@pytest.fixture
def watched(make_world: Callable[..., World], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Two organisations at 12:00, one of which the API refuses; shared state is this test's own."""
    world = make_world({"acme": organization(users=20), "globex": organization("sk-ant-api01-globex", seed=2)})
    world.environment["TMPDIR"] = str(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    world.control("globex", "access", enabled=False)
    return world


def test_a_look_from_cron_shows_the_refusal_as_a_state_and_exits_1(watched: World) -> None:
    answer = watched.run("watch", "--once")
    assert answer.exit_code == 1
    acme, globex = answer.stdout.splitlines()
    assert acme == "acme: seen, but no mart is built yet, or the day is pulled"
    assert (
        "globex: cost_report 2026-11-14..2026-11-20: 403 permission_error: Public API access is not enabled" in globex
    )
    assert "Traceback" not in answer.text
    asked = len(watched.servers["acme"].api.log)
    again = watched.run("watch", "--once", "--json").json  # nobody's turn: what was seen last, and no request
    assert [(one["organization_id"], one["error_type"]) for one in again] == [
        ("acme", None),
        ("globex", "permission_error"),
    ]
    assert len(watched.servers["acme"].api.log) == asked
    assert watched.good("watch", "--once", "--org", "acme").stdout.splitlines() == [acme]


def test_one_hour_is_shown_minute_by_minute_and_the_request_is_counted(watched: World) -> None:
    minutes = watched.good("watch", "--org", "acme", "--minutes", "2026-11-20T07", "--json").json
    assert all(one["minute"].startswith("07:") for one in minutes)
    watched.good("watch", "--org", "acme", "--minutes", "2026-11-20T07")
    watched.good("watch", "--org", "acme", "--minutes", "2026-11-20T07")
    used_up = watched.run("watch", "--org", "acme", "--minutes", "2026-11-20T07")
    assert used_up.exit_code == 1
    assert "acme: allowance_used: the 3 requests of this hour are used" in used_up.stderr
    paths = [one.query for one in watched.servers["acme"].api.log]
    assert len(paths) == 3
    assert "starting_at=2026-11-20T07%3A00%3A00Z&ending_at=2026-11-20T08%3A00%3A00Z&bucket_width=1m" in paths[0]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--minutes", "yesterday", "--org", "acme"), "--minutes 'yesterday' is not an hour; write YYYY-MM-DDTHH"),
        (("--minutes", "2026-11-20T09"), "--minutes needs one organisation; name it with --org"),
        (("--minutes", "2026-11-20T13", "--org", "acme"), "--minutes 2026-11-20T13: that hour has not begun yet"),
    ],
)
def test_a_wrong_hour_is_wrong_usage(watched: World, arguments: tuple[str, ...], complaint: str) -> None:
    answer = watched.run("watch", *arguments)
    assert answer.exit_code == 2
    assert complaint in " ".join(answer.stderr.split())


def test_without_once_it_goes_on_until_it_is_stopped(watched: World) -> None:
    command = watched.start("watch")
    assert command.stderr
    try:
        for line in command.stderr:
            if line.startswith("Next look at 2026-11-20 13:00 UTC."):
                break
        command.send_signal(signal.SIGINT)
        out, err = command.communicate(timeout=20)
    finally:
        command.kill()
    assert command.returncode == 130
    assert err.splitlines() == [LAST_WORD]
    assert out.startswith("acme: seen")
