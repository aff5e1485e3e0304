"""Nothing that a failing run leaves behind has the key in it, however a server repeats it."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import logging
import os
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster_graphql.schema import create_schema

from onelens_claude.api.hiding import without_key
from tests.api.test_bounded import raw_server
from tests.api.test_hiding import KEY, SPELLINGS, echoes
from tests.facts_only import build_only
from tests.organizations import NOW, write_settings_file
from tests.worlds import World, scratch_folder

from .conftest import LAST

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

LOGS = """{ runsOrError { ... on Runs { results {
    runId status runConfigYaml tags { key value } stepStats { stepKey status }
    eventConnection { events {
        ... on MessageEvent { message }
        ... on StepEvent { stepKey }
        ... on ExecutionStepFailureEvent { error { message stack className } errorSource }
        ... on ErrorEvent { error { message stack } }
        ... on RunFailureEvent { error { message stack } }
        ... on DisplayableEvent { description metadataEntries { label description } }
        ... on AssetCheckEvaluationEvent { evaluation { metadataEntries { label ... on TextMetadataEntry { text } } } }
    } }
} } } }"""


@contextmanager
def echoing() -> Iterator[str]:
    """Serve failures in turn, each with the key in another place and spelling."""
    plain, escaped = (list(echoes(SPELLINGS[name](KEY)).values()) for name in ("plain", "json"))
    # what is kept aside comes first: there are fewer requests than places
    turn = itertools.cycle([*reversed(plain[::2] + escaped[1::2])])

    def talk(connection: socket.socket) -> None:
        next(turn)(connection)

    with raw_server(talk) as address:
        yield address


def graphql(world: World) -> str:
    """Return what the UI's own interface says of every run."""
    with world.instance() as instance, WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as context:
        answer = create_schema().execute(LOGS, context_value=context.create_request_context())
    assert not answer.errors, answer.errors
    return json.dumps(answer.data)


@pytest.fixture
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_after_a_run_full_of_failures_the_key_is_nowhere_and_every_file_is_its_owners_alone(
    caplog, monkeypatch, usual_umask
):
    build_only(monkeypatch, dg.AssetSelection.assets(["staging", "stg_current_pulls"]))
    caplog.set_level(logging.DEBUG)
    seen = set()
    is_over = threading.Event()

    def look_at_processes() -> None:
        while not is_over.wait(0.2):
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(process.read_bytes())
                except OSError:
                    continue

    with scratch_folder() as folder, echoing() as address:
        world = World(folder, dt.datetime.fromisoformat(NOW), keys={"acme": KEY})
        acme = {"id": "acme", "api_key_env": "ACME_KEY", "base_url": address}
        write_settings_file(
            world.config,
            [acme],
            alerts=[{"id": "log", "kind": "log"}],
            optional_endpoints=["plugins", "artifacts", "usage"],
            polling={"attempts": 1},
        )
        watching = threading.Thread(target=look_at_processes)
        watching.start()
        try:
            answers = [
                world.run(*arguments)
                for arguments in (
                    ("backfill", "--from", LAST),
                    ("check", "--json"),
                    ("status", "--json"),
                    ("status",),
                    ("alerts", "list", "--json"),
                    ("query", "--json", "from claude_raw.pulls"),
                )
            ]
        finally:
            is_over.set()
            watching.join()
        said = graphql(world)
        kept = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        shared = {path.name for path in folder.rglob("*") if path.lstat().st_mode & 0o077}
    assert answers[0].exit_code == 1
    # what dbt parsed, copied with its mode, has no data in it
    assert shared <= {world.config.name, "partial_parse.msgpack"}
    assert sum(name.suffix == ".db" for name in kept) >= 2
    assert any("quarantine" in path.parts for path in kept)
    assert "the answer repeats the API key and is not kept" in said
    places = {
        **{f"output {number}": answer.text for number, answer in enumerate(answers)},
        "GraphQL": said,
        "log": caplog.text,
        "processes": "\n".join(line.decode(errors="replace") for line in seen),
        **{str(path): content.decode("latin-1") for path, content in kept.items()},
    }
    found = [place for place, text in places.items() if without_key(text, KEY) != text]
    assert found == []
