"""Served organisations for the tests of the local API server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .helpers import Reader, served

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def calm() -> Iterator[Reader]:
    """One demo organisation nobody changes: for everything that only reads."""
    with served() as server:
        yield Reader(server)


@pytest.fixture
def fresh() -> Iterator[Reader]:
    """A demo organisation of its own, to be changed."""
    with served() as server:
        yield Reader(server)
