"""How every test specifies an organisation for the local server, and the settings that name it.

What belongs here: the small organisation, its clock and its first day, and the one writer of settings. What does not:
what comes of it (`worlds.py`).
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import requests
import yaml

from onelens_claude.fake_api import OrganizationSpec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NOW = "2026-11-20T12:00:00Z"
FIRST_DAY = dt.date(2026, 11, 1)
"""The first day with data of every served organisation, unless its specification says otherwise."""
KEY = "sk-ant-api01-acme"
UNHURRIED = 100_000


def organization(api_key: str = KEY, **changes: Any) -> OrganizationSpec:
    """Specify a small organisation."""
    return OrganizationSpec(**{"api_key": api_key, "users": 5, "first_day": FIRST_DAY, **changes})


def write_settings_file(path: Path, organizations: Sequence[dict[str, Any]], **sections: Any) -> None:
    """Write onelens.yaml; requests are not slowed down, and no attempt is waited for long."""
    polling = {"requests_per_minute": UNHURRIED, "attempts": 2, "timeout_seconds": 10, **sections.pop("polling", {})}
    content = {"organizations": list(organizations), "polling": polling, **sections}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def ask_truth(base_url: str, api_key: str, topic: str, **parameters: Any) -> dict[str, Any]:
    """Ask the local server for its own exact totals of an organisation."""
    answer = requests.get(f"{base_url}/truth/{topic}", params=parameters, headers={"x-api-key": api_key}, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()
