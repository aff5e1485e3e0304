"""The demo's world: two made-up organisations, their server, their story and their settings, all in one folder.

It never touches a real onelens.yaml. Days follow the real clock, so tomorrow's `make dev` has a new day.
"""

from __future__ import annotations

import datetime as dt
import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import yaml

from onelens_claude.api.endpoints import OPTIONAL_ENDPOINTS, Family, first_available_day, newest_possible_day
from onelens_claude.cli import demo_story
from onelens_claude.clock import utc_now
from onelens_claude.fake_api import create_app, running_server
from onelens_claude.fake_api.spec import demo_organizations
from onelens_claude.paths import working_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEMO_FOLDER = working_folder() / "demo"
DEMO_CONFIG = DEMO_FOLDER / "onelens.yaml"
_IDS = ("acme", "globex")
_USERS = 60
_DAYS = 63
"""Nine weeks: what climbs slowly is compared with three weeks of what was six weeks ago."""
_UNHURRIED = 60_000
"""Requests a minute that the demo's server allows: the real limit would make the demo wait for minutes."""


def demo_days() -> tuple[dt.date, dt.date]:
    """Return the first and last day the demo loads."""
    last = newest_possible_day(utc_now(), Family.COST)
    return max(first_available_day(utc_now().date()), last - dt.timedelta(days=_DAYS - 1)), last


@contextmanager
def demo_world() -> Iterator[Path]:
    """Serve the organisations, write their settings and point the environment at them; yield the settings file."""
    specs = demo_organizations(len(_IDS), users=_USERS)
    app = create_app(specs, requests_per_minute=_UNHURRIED)
    with running_server(app, port=_usual_port()) as server:
        DEMO_FOLDER.mkdir(exist_ok=True)
        for organization_id, spec in zip(_IDS, specs, strict=True):
            key_file = DEMO_FOLDER / f"{organization_id}.key"
            key_file.touch(mode=0o600)
            key_file.write_text(spec.api_key + "\n", encoding="utf-8")
        served = dict(zip(_IDS, (one.organization for one in server.api.tenants), strict=True))
        story = demo_story.tell(DEMO_FOLDER / "story.json", served, utc_now())
        content = {
            "organizations": [
                {
                    "id": organization_id,
                    "name": spec.name,
                    "api_key_file": str(DEMO_FOLDER / f"{organization_id}.key"),
                    "base_url": server.base_url,
                    "plan": spec.plan,
                }
                for organization_id, spec in zip(_IDS, specs, strict=True)
            ],
            "optional_endpoints": list(OPTIONAL_ENDPOINTS),
            "polling": {"requests_per_minute": _UNHURRIED},
            "budgets": story.budgets,
            "teams": story.teams,
            "watch": {"hours": 1},
            "alerts": [{"id": "demo", "kind": "log"}],
        }
        header = "# Written by the demo each time it starts; its organisations are made up.\n"
        DEMO_CONFIG.write_text(header + yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        os.environ["ONELENS_CONFIG"] = str(DEMO_CONFIG)
        os.environ["DAGSTER_HOME"] = str(DEMO_FOLDER / ".dagster")
        for variable in ("ONELENS_WAREHOUSE", "ONELENS_SERVING"):
            os.environ.pop(variable, None)
        yield DEMO_CONFIG


def _usual_port() -> int:
    """Return the port of the last start if it is free, else 0, which takes any free one."""
    try:
        settings = yaml.safe_load(DEMO_CONFIG.read_text(encoding="utf-8"))
        port = urlsplit(settings["organizations"][0]["base_url"]).port or 0
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    except (OSError, KeyError, TypeError, IndexError, yaml.YAMLError):
        return 0
    return port
