"""A database with raw tables in memory, and hand-written bodies where a fetch would have put them."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from onelens_claude.api.answers import read_envelope, split_rows
from onelens_claude.api.client import Page
from onelens_claude.api.endpoints import ENDPOINTS
from onelens_claude.landing.fetching import FetchedPull, PullRequest, spool_page
from onelens_claude.warehouse.raw_tables import create_raw_tables
from tests.landing.appended import FETCHED_AT, WINDOW, Spool

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

    from onelens_claude.api.windows import Window


@pytest.fixture
def connection():
    with duckdb.connect() as memory:
        memory.execute("set TimeZone = 'UTC'")
        create_raw_tables(memory)
        yield memory


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """Put hand-written bodies where a fetch would have put them."""

    def make(
        endpoint: str, *bodies: Any, window: Window = WINDOW, organization: str = "acme", api_id: str | None = None,
        query: str | None = None, refreshed_at: dt.datetime | None = None,
    ) -> FetchedPull:  # fmt: skip
        asked = PullRequest(organization, ENDPOINTS[endpoint], window)
        pull = FetchedPull(request=asked, folder=tmp_path / uuid.uuid4().hex)
        pull.folder.mkdir()
        for number, body in enumerate(bodies, start=1):
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            head, rows, tail = split_rows(
                content, read_envelope(content, where="", request_id=None), where="", request_id=None
            )
            came = Page(
                query=next((one for one in asked.endpoint.queries if one.name == query), asked.endpoint.queries[-1]),
                request_path=f"/v1/{endpoint}?page={number}",
                request_id=f"req_{number}",
                fetched_at=FETCHED_AT,
                head=head,
                rows=rows,
                tail=tail,
                data_refreshed_at=refreshed_at,
                api_organization_id=api_id,
            )
            pull.pages.append(spool_page(pull.folder / f"{number:06d}.json", came))
        pull.sha256 = "sha"
        return pull

    return make
