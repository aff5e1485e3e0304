"""Where keys come from: each place is read when it is asked, in bounded time, and no message shows what it held."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from onelens_claude import keys
from onelens_claude.errors import SettingsError, UnreadableKeyError
from onelens_claude.keys import KeySource
from onelens_claude.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from onelens_claude.settings import Organization

SECRET = "very-secret-key"
SETTING = "organizations.acme.api_key_command"


def printing(program: str) -> KeySource:
    """Return the source that is a program in the shell's language."""
    return KeySource(SETTING, command=("/bin/sh", "-c", program))


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> None:
    keys._printed.cache_clear()


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Organization]:
    """Load the settings of acme, with these lines about its keys."""
    monkeypatch.setenv("ONELENS_CONFIG", str(tmp_path / "onelens.yaml"))

    def load(*lines: str) -> Organization:
        text = "organizations:\n  - id: acme\n" + "".join(f"    {line}\n" for line in lines)
        (tmp_path / "onelens.yaml").write_text(text)
        return load_settings().organizations[0]

    return load


@pytest.mark.parametrize(
    ("command", "key"),
    [
        ("printf %s 'two words'", "two words"),
        ("[printf, 'one%s', '-two']", "one-two"),
        ("echo $HOME;echo", "$HOME;echo"),
        ("./prints 'a b'", "2:a_b"),
    ],
    ids=["a text", "a list", "no shell", "a path from the settings file on"],
)
def test_a_program_that_prints_the_key_is_run_without_a_shell(acme, tmp_path, monkeypatch, command, key):
    monkeypatch.chdir("/")
    program = tmp_path / "prints"
    program.write_text('#!/bin/sh\necho "$(($# + 1)):$1" | tr " " _\n')
    program.chmod(0o700)
    organization = acme(f"api_key_command: {command}")
    if " " in key:
        with pytest.raises(UnreadableKeyError, match="contains characters that no key has"):
            organization.api_key()
    else:
        assert organization.api_key() == key


def test_a_printed_key_is_used_for_some_minutes_before_the_program_is_run_again(tmp_path, monkeypatch):
    source = printing(f"echo x >> '{tmp_path}/runs'; echo {SECRET}")
    assert {source.read() for _ in range(3)} == {SECRET}
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + keys._KEPT_SECONDS)
    source.read()
    assert (tmp_path / "runs").read_text() == "x\n" * 2


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (f"echo {SECRET}; echo {SECRET} >&2; exit 3", "its program ended with exit code 3"),
        (f"echo {SECRET}; kill -9 $$", "its program ended with signal 9"),
        ("true", "what its program prints is empty"),
        (f"echo {SECRET} two", "what its program prints contains characters that no key has"),
        (f"printf '{SECRET}\\377'", "its program printed something that is not text"),
        (f"yes {SECRET}", "its program printed more than a key has"),
        (f"echo {SECRET}; sleep 60", "its program did not end within 1 seconds"),
        (f"sleep 60 & echo {SECRET}", "its program did not end within 1 seconds"),
        (f"echo {SECRET}; exec >&-; sleep 60", "its program did not end within 1 seconds"),
    ],
)
def test_what_a_program_prints_is_never_shown_and_nothing_waits_for_it_without_end(capfd, monkeypatch, program, reason):
    monkeypatch.setattr(keys, "_COMMAND_SECONDS", 1)
    began = time.monotonic()
    with pytest.raises(UnreadableKeyError) as refused:
        printing(program).read()
    assert time.monotonic() - began < 5
    assert str(refused.value).startswith(f"{SETTING}: {reason}")
    assert SECRET not in str(refused.value)
    assert capfd.readouterr() == ("", "")


def test_what_an_overdue_program_started_is_ended_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr(keys, "_COMMAND_SECONDS", 1)
    with pytest.raises(UnreadableKeyError):
        printing(f"sleep 60 & echo $! > '{tmp_path}/pid'; wait").read()
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 5
    while _runs(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def test_a_program_that_takes_its_time_is_told_of(caplog, monkeypatch):
    monkeypatch.setattr(keys, "_TOLD_AFTER", 0)
    assert printing(f"sleep 0.2; echo {SECRET}").read() == SECRET
    assert f"{SETTING}: waiting for its program to print the key (0 s so far, 30 s at most)" in caplog.text


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["api_key_command: no-such-program-here"], "api_key_command: its program is not there, or cannot be executed"),
        (["api_key_command: ''"], "api_key_command: is empty; at least one is needed"),
        (["api_key_command: [op, 5]"], "api_key_command.1: Input should be a valid string"),
        (['api_key_command: "op \'read"'], "api_key_command: a quote is not closed"),
        (["api_key_command: sk-ant-api01-pasted"], "api_key_command.0: must say where the key is, not be the key"),
        (["api_key_command: 'echo sk-ant-api01-pasted'"], "api_key_command.1: must say where the key is"),
        (["api_key_file: sk-ant-api01-pasted"], "api_key_file: must say where the key is, not be the key itself"),
        (["next_api_key_file: sk-ant-api01-pasted", "api_key_env: A"], "next_api_key_file: must say where the key is"),
        (["next_api_key_env: sk-ant-api01-pasted", "api_key_env: A"], "next_api_key_env: must be the name of an env"),
        (["base_url: sk-ant-api01-pasted", "api_key_env: A"], "base_url: '[key]' is not an http(s) address"),
        (["api_key_file: /dev/zero"], "api_key_file: file /dev/zero is no regular file"),
        (["api_key_env: A", "api_key_command: b"], "give exactly one of api_key_env, api_key_file and api_key_command"),
        (["next_api_key_env: A"], "give exactly one of api_key_env, api_key_file and api_key_command"),
        (
            ["api_key_env: A", "next_api_key_env: B", "next_api_key_file: c"],
            "give one of next_api_key_env, next_api_key_file and next_api_key_command, or none",
        ),
    ],
)
def test_a_wrong_place_is_refused_by_the_name_of_its_setting(acme, lines, reason):
    with pytest.raises(SettingsError) as refused:
        acme(*lines)
    assert f"organizations.acme: {reason}" in str(refused.value) or f"acme.{reason}" in str(refused.value)
    assert "pasted" not in str(refused.value)


def test_during_a_rotation_one_key_that_can_be_read_is_enough(acme, monkeypatch):
    lines = ["api_key_env: PRESENT_KEY", "next_api_key_env: NEXT_KEY"]
    with pytest.raises(SettingsError, match=r"acme\.api_key_env: environment variable PRESENT_KEY is not set"):
        acme(*lines)
    for variable in ("PRESENT_KEY", "NEXT_KEY"):
        monkeypatch.setenv(variable, SECRET)
        assert [one.setting.rpartition(".")[2] for one in acme(*lines).key_sources] == [
            "next_api_key_env",
            "api_key_env",
        ]
        monkeypatch.delenv(variable)


@pytest.mark.parametrize(("mode", "is_open"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_a_key_file_that_others_can_use_is_warned_of(tmp_path, mode, is_open):
    path = tmp_path / "key"
    path.write_text(SECRET)
    path.chmod(mode)
    warning = KeySource("organizations.acme.api_key_file", file=str(path)).warning()
    assert (warning is not None) is is_open
    if warning:
        assert f"{path} is open to other users of this machine (mode {mode:04o}); run `chmod 600` on it" in warning
