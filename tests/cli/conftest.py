"""Installations of one small organisation, each in its own folder."""

from __future__ import annotations

import datetime as dt
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.facts_only import build_facts_only
from tests.organizations import NOW, organization
from tests.worlds import scratch_folder, serving_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from onelens_claude.fake_api import OrganizationSpec
    from tests.worlds import World

FIRST, LAST = "2026-11-16", "2026-11-19"
SECRET = "sk-ant-api01-very-secret"


def small_organization(**changes: Any) -> OrganizationSpec:
    return organization(**{"api_key": SECRET, "users": 8, "first_day": dt.date.fromisoformat(FIRST), **changes})


@pytest.fixture
def make_world() -> Iterator[Callable[..., World]]:
    """Serve organisations (id to specification, default: acme), in a fresh folder with settings that name them."""
    with ExitStack() as open_worlds:

        def make(specs: dict[str, OrganizationSpec] | None = None, **options: Any) -> World:
            folder = open_worlds.enter_context(scratch_folder())
            return open_worlds.enter_context(
                serving_world(folder, NOW, specs or {"acme": small_organization()}, **options)
            )

        yield make


@pytest.fixture
def facts_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the jobs of this process build the two facts alone."""
    build_facts_only(monkeypatch)


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()
