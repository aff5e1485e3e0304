"""One evaluation: note what is seen, then bring each channel what it is to be told, in one message.

Whoever evaluates (a run, a command, the daemon's sensor) does so under the log's lock, so two never tell the same. What
does not arrive waits in the log for whoever evaluates next.

What is here: the order of it, and how often and how long one evaluation tries. What to add here: another rule of when.
What must not go here: what is told (`facts.py`), the log's tables (`log.py`), one attempt (`sending.py`).
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from onelens_claude.alerts.facts import key_digests, key_facts
from onelens_claude.alerts.log import AlertLog, Outgoing
from onelens_claude.alerts.sending import DeliveryError, send
from onelens_claude.clock import utc_now
from onelens_claude.errors import SettingsError
from onelens_claude.report.pictures import draw_pictures
from onelens_claude.warehouse.files import Warehouse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from onelens_claude.alerts.fact import Fact
    from onelens_claude.report.pictures import Picture
    from onelens_claude.settings import Settings
    from onelens_claude.settings.channels import Channel

_log = logging.getLogger(__name__)

ATTEMPTS = 3
"""Of one evaluation; later ones go on."""
SECONDS = 60.0
"""All channels of one evaluation; an attempt that has begun may end after it."""
_PAUSE = 1.0
_LONGEST_PAUSE = 15.0
"""Seconds of `Retry-After` that an evaluation waits itself."""
_LOCK_SECONDS = 90.0
"""More than another evaluation takes."""


@dataclass(slots=True)
class Evaluation:
    """What came of it, for people."""

    new: int = 0
    sent: dict[str, int] = field(default_factory=dict)
    held: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def in_words(self) -> str:
        """Return one line."""
        parts = [f"{self.new} new"]
        parts += [f"{count} sent to {channel}" for channel, count in self.sent.items()]
        parts += [f"{channel} is in its quiet hours" for channel in self.held]
        return "; ".join([*parts, *self.problems])


def evaluate(
    settings: Settings, facts: Iterable[Fact], *, seconds: float = SECONDS, lock_seconds: float = _LOCK_SECONDS
) -> Evaluation:
    """Note what is seen, and what keys are old, and tell the channels; WarehouseError without a usable log.

    A channel that does not take its message is a problem of the evaluation, not an error.
    """
    found = Evaluation()
    log = AlertLog(settings.alerts_path)
    with log.exclusive(lock_seconds) as may_evaluate:
        if not may_evaluate:
            found.problems.append("another process evaluates the alerts; the next evaluation does the rest")
            return found
        now = utc_now()
        keys = key_facts(log.first_seen(key_digests(settings), now), now)
        ids = [organization.id for organization in settings.organizations]
        found.new = len(log.record([*facts, *keys], settings.alerts, ids, now))
        deadline = time.monotonic() + seconds
        for channel in settings.alerts:
            _tell(settings, log, channel, found, deadline)
    return found


def _tell(settings: Settings, log: AlertLog, channel: Channel, found: Evaluation, deadline: float) -> None:
    """Bring a channel everything that is due, in one message."""
    now = utc_now()
    if channel.is_quiet(now):
        log.hold(channel.id)
        found.held.append(channel.id)
        return
    due = log.due(channel.id, now)
    if not due:
        return
    keys = [one.alert_key for one in due]
    pictures = _pictures(settings, channel, due)
    for number in range(ATTEMPTS):
        if time.monotonic() > deadline:
            found.problems.append(f"alerts.{channel.id}: no time was left; the next evaluation tries")
            return
        log.attempt(channel.id, keys, utc_now())
        try:
            remark = send(
                channel,
                _attempted(due, number + 1),
                dagster_url=settings.dagster_url,
                now=utc_now(),
                pictures=pictures,
            )
        except (DeliveryError, SettingsError) as error:
            log.failed(channel.id, keys, utc_now(), str(error), getattr(error, "retry_after", None))
            pause = _pause(error, number)
            if pause is None or time.monotonic() + pause > deadline:
                _log.warning("%s; it is tried again later", str(error).rstrip("."))
                found.problems.append(str(error))
                return
            time.sleep(pause)
        else:
            log.sent(channel.id, keys, utc_now(), remark)
            found.sent[channel.id] = len(due)
            return


def _pictures(settings: Settings, channel: Channel, alerts: Sequence[Outgoing]) -> list[Picture]:
    """Return what a mail shows of the organisations it is about, from the newest marts that nobody is writing."""
    known = {organization.id for organization in settings.organizations}
    organizations = sorted({one.organization_id for one in alerts} & known)
    if channel.kind != "email" or not organizations:
        return []
    try:
        with Warehouse.of(settings).newest_reader() as connection:
            return draw_pictures(connection, organizations) if connection else []
    except Exception as error:  # noqa: BLE001 - an alert without a picture is better than none
        _log.warning("alerts.%s: the mail has no pictures: %s", channel.id, error)
        return []


def _pause(error: DeliveryError | SettingsError, number: int) -> float | None:
    """Return the seconds until the next attempt of this evaluation; null where a later one is to try."""
    if isinstance(error, SettingsError) or number == ATTEMPTS - 1:
        return None
    if error.retry_after is not None:
        return error.retry_after if error.retry_after <= _LONGEST_PAUSE else None
    return _PAUSE * 2**number if error.may_pass else None


def _attempted(due: Sequence[Outgoing], more: int) -> list[Outgoing]:
    """Return the alerts with the number that this attempt has."""
    return [replace(one, attempts=one.attempts + more) for one in due]


def send_sample(settings: Settings, channel: Channel) -> str | None:
    """Send one made-up alert to a channel; the log does not know of it. Raises DeliveryError or SettingsError."""
    now = utc_now()
    sample = Outgoing(
        alert_key="test",
        event=channel.events[0],
        organization_id=settings.organizations[0].id,
        severity="info",
        occurred_on=now.date(),
        title="A test of this channel by onelens-claude",
        text="Nothing happened: `onelens-claude alerts test` sent this to show that alerts arrive here.",
        query="from marts.budget_status limit 10",
        page="",
        impact_usd=None,
        data={"is_test": True},
        correction_of=None,
        attempts=1,
    )
    pictures = _pictures(settings, channel, [sample])
    return send(channel, [sample], dagster_url=settings.dagster_url, now=now, pictures=pictures)
