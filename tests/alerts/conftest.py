"""Channels that lead to real servers, and settings that name them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from onelens_claude.alerts import delivery
from onelens_claude.alerts.fact import Fact
from onelens_claude.alerts.log import AlertLog
from tests.alerts.receivers import HttpReceiver, MailServer, http_receiver, mail_server
from tests.organizations import NOW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from onelens_claude.settings import Settings

HOOK = {"id": "hook", "kind": "webhook", "url_env": "HOOK_URL", "secret_env": "HOOK_SECRET"}
SLACK = {"id": "slack", "kind": "slack_webhook", "url_env": "HOOK_URL"}


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpReceiver]:
    with http_receiver() as here:
        monkeypatch.setenv("HOOK_URL", here.address)
        monkeypatch.setenv("HOOK_SECRET", "signing-s3cret")
        yield here


@pytest.fixture
def post_office(monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    monkeypatch.setenv("SMTP_USER", "sender")
    monkeypatch.setenv("SMTP_PASSWORD", "mail-s3cret")
    with mail_server() as here:
        yield here


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait milliseconds where people would wait seconds."""
    monkeypatch.setattr(delivery, "_PAUSE", 0.01)


@pytest.fixture
def settings(write_settings: Callable[..., Settings], set_now: Callable[[str], None]) -> Callable[..., Settings]:
    """Return settings of acme and beta with the given channels."""
    set_now(NOW)

    def make(*channels: dict[str, Any], **sections: Any) -> Settings:
        organizations = {name: (f"sk-ant-{name}", "http://127.0.0.1:9") for name in ("acme", "beta")}
        return write_settings(organizations, alerts=list(channels), **sections)

    return make


def fact(name: str = "b", **changed: Any) -> Fact:
    """Return a fact of acme's budget, some of it changed."""
    given: dict[str, Any] = {
        "event": "budget",
        "organization_id": "acme",
        "identity": (name,),
        "severity": "warning",
        "occurred_on": dt.date(2026, 11, 19),
        "title": f"acme: budget {name} reached 80 %",
        "text": "Spent so far: $80.00 of $100.00.",
        "query": "from marts.budget_status",
        "impact_usd": Decimal("80.00"),
    }
    return Fact(**{**given, **changed})


def states(settings: Settings) -> dict[str, tuple[str, int]]:
    """Return state and attempts by title."""
    return {row["title"]: (row["status"], row["attempts"]) for row in AlertLog(settings.alerts_path).rows()}
