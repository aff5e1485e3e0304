"""Completion, by the protocol that the shells speak and in a real bash."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from onelens_claude.cli import COMMANDS
from tests.worlds import COMMAND

from .test_start import SLOW, imported

if TYPE_CHECKING:
    from pathlib import Path

    from tests.worlds import World

BASH = """
onelens-claude --install-completion >&2
source ~/.bashrc
offered() {
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    _onelens_claude_completion onelens-claude
    echo "${COMPREPLY[*]}"
}
offered onelens-claude ""
offered onelens-claude st
offered onelens-claude query --
offered onelens-claude backfill --org b
"""


def test_bash_completes_commands_options_and_organisations_after_installing_it(tmp_path: Path) -> None:
    (tmp_path / "onelens.yaml").write_text(
        "organizations: [{id: acme, api_key_env: NO_KEY}, {id: beta, api_key_env: NO_KEY}]", encoding="utf-8"
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", BASH],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": f"{COMMAND.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    commands, one, options, organizations = done.stdout.splitlines()
    assert commands.split() == list(COMMANDS), done.stderr
    assert one == "status"
    assert {"--json", "--csv"} <= set(options.split())
    assert organizations == "beta"


def test_zsh_is_told_each_command_with_its_summary_on_one_line(world: World) -> None:
    world.environment = {"_ONELENS_CLAUDE_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "onelens-claude "}
    lines = world.good().stdout.splitlines()
    assert len(lines) == len(COMMANDS)
    assert '"query":"Run one read-only SQL statement on the serving copy."' in lines[list(COMMANDS).index("query")]


def test_completing_a_command_imports_none(world: World) -> None:
    world.environment = {
        "_ONELENS_CLAUDE_COMPLETE": "complete_bash",
        "COMP_WORDS": "onelens-claude ",
        "COMP_CWORD": "1",
    }
    assert not {"duckdb", "requests", *SLOW} & imported(world)  # Typer itself may want pydantic
