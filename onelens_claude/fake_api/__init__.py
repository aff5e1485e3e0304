"""A local server of the Claude Enterprise Analytics API: generated organisations, the contract, faults, the truth.

Start here: `create_app([OrganizationSpec(...)])` makes the Starlette app, `running_server(app)` serves it on a free
loopback port; both work in tests. `python -m onelens_claude.fake_api` serves it from a shell. Nothing here knows
Dagster, the client or the warehouse, so that a mistake there cannot hide here.

What is here: the modules below, each with one part of the server. What to add here: a module for another part of the
contract. What must not go here: an import of the product's client, landing, warehouse or models.

    spec.py          what to serve: OrganizationSpec, Revision, the clock
    roster.py        people;  generator.py  their usage;  activity.py  what they did with it
    events.py        the base rows as columns;  pricing.py  exact prices;  organization.py  days and revisions
    contract.py      parameters, windows and errors;  cursors.py;  limits.py
    reports.py       the four cost and usage reports;  flat.py  /usage and /cost
    engagement.py    summaries, days and scopes;  entities.py  the other engagement rows
    api.py           request in, answer out;  server.py  sockets;  control.py  truth and control;  cli.py
    truth.py         exact totals by an independent path;  faults.py  everything that goes wrong
"""

from __future__ import annotations

from onelens_claude.fake_api.api import FakeApi
from onelens_claude.fake_api.faults import FAULT_KINDS, Fault, parse_fault
from onelens_claude.fake_api.server import RunningServer, create_app, running_server
from onelens_claude.fake_api.spec import (
    DEFAULT_FEATURES,
    DEMO_KEY,
    FEATURES,
    OrganizationSpec,
    Revision,
    demo_organizations,
)

serve = running_server

__all__ = [
    "DEFAULT_FEATURES",
    "DEMO_KEY",
    "FAULT_KINDS",
    "FEATURES",
    "FakeApi",
    "Fault",
    "OrganizationSpec",
    "Revision",
    "RunningServer",
    "create_app",
    "demo_organizations",
    "parse_fault",
    "running_server",
    "serve",
]
