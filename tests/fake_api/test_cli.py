"""The command: its options, its one line, its exit codes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
import requests
import typer
from typer.testing import CliRunner

from onelens_claude.fake_api import DEMO_KEY, demo_organizations
from onelens_claude.fake_api.cli import fake_api

app = typer.Typer()
app.command()(fake_api)


def test_it_prints_its_address_when_it_answers_and_stops_on_a_signal() -> None:
    command = [sys.executable, "-m", "onelens_claude.fake_api", "--now", "2026-11-20T12:00:00Z", "--from", "2026-10-01"]
    options = ["--users", "5", "--organizations", "2", "--rpm", "0", "--fault", "error_500:endpoint=users,times=1"]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    with subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout
        try:
            address = process.stdout.readline().strip()
            statuses = []
            for key in (DEMO_KEY, DEMO_KEY, f"{DEMO_KEY}-2"):
                headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
                url = f"{address}/v1/organizations/analytics/users?date=2026-11-10"
                statuses.append(requests.get(url, headers=headers, timeout=10).status_code)
            assert statuses == [500, 200, 200]
            assert (
                requests.get(f"{address}/truth", headers={"x-api-key": DEMO_KEY}, timeout=10).json()["now"]
                == "2026-11-20T12:00:00Z"
            )
        finally:
            process.send_signal(signal.SIGINT)
            out, error = process.communicate(timeout=15)
    assert (out, error) == ("", "")
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--from", "soon"], "--from"),
        (["--from", "2025-12-31"], "--from"),
        (["--from", "2026-03-01", "--to", "2026-02-01"], "--to"),
        (["--now", "yesterday"], "--now"),
        (["--now", "2026-01-01"], "--now"),
        (["--fault", "nope"], "--fault"),
        (["--plan", "free"], "--plan"),
        (["--key", " "], "--key"),
        (["--users", "0"], "--users"),
        (["--port", "70000"], "--port"),
        (["--rpm", "-1"], "--rpm"),
    ],
)
def test_wrong_usage_is_exit_2_with_a_line_that_names_the_option(options: list[str], named: str) -> None:
    result = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"}).invoke(app, options)
    assert result.exit_code == 2
    assert named in result.output
    assert "Traceback" not in result.output


def test_a_bad_onelens_now_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONELENS_NOW", "noon")
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 2
    assert "ONELENS_NOW" in result.output


def test_a_port_in_use_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = CliRunner().invoke(app, ["--port", str(taken.getsockname()[1])])
    assert result.exit_code == 2
    assert "--port" in result.output


def test_demo_organizations_differ_in_key_seed_and_plan() -> None:
    one, two, three = demo_organizations(3, first_day=date(2026, 10, 1))
    assert [spec.api_key for spec in (one, two, three)] == [DEMO_KEY, f"{DEMO_KEY}-2", f"{DEMO_KEY}-3"]
    assert [spec.plan for spec in (one, two, three)] == ["usage", "seat", "usage"]
    assert len({spec.seed for spec in (one, two, three)}) == 3
    assert one.shared_users == 2
    assert two.features < one.features
    assert demo_organizations(1)[0].shared_users == 0
