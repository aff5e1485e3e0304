"""A client that notes its waits instead of waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from onelens_claude.api.client import AnalyticsClient
from onelens_claude.api.rate_limit import SharedRateLimit
from tests.api.asking import KEY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def connect(tmp_path: Path) -> Callable[..., AnalyticsClient]:
    """Make a client that notes its waits instead of waiting."""

    def make(
        base_url: str, key: str = KEY, *, attempts: int = 3, slept: list[float] | None = None, **options: Any
    ) -> AnalyticsClient:
        moment = [1_800_000_000.0]

        def sleep(seconds: float) -> None:
            moment[0] += seconds
            if slept is not None:
                slept.append(seconds)

        return AnalyticsClient(
            organization_id="acme",
            base_url=base_url,
            api_key=lambda: key,
            rate_limit=SharedRateLimit("acme", base_url, 100_000, folder=tmp_path, now=lambda: moment[0], sleep=sleep),
            attempts=attempts,
            timeout_seconds=5,
            **{"sleep": sleep, **options},
        )

    return make
