"""How a message leaves: one attempt to one channel, in bounded time. It arrived, or DeliveryError says why not.

Slack's webhook is one POST of JSON, so `requests` sends it, through the same bounded session as the API's client.

What is here: HTTP and SMTP. What to add here: another kind of channel. What must not go here: what is tried again and
when (`delivery.py`).
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import smtplib
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import requests
import urllib3

from onelens_claude.alerts.fact import line
from onelens_claude.alerts.messages import log_lines, mail, slack_body, webhook_body
from onelens_claude.api.bounded import BoundExceededError, MessageSession
from onelens_claude.errors import OnelensError
from onelens_claude.visible import visible

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence

    from onelens_claude.alerts.log import Outgoing
    from onelens_claude.report.pictures import Picture
    from onelens_claude.settings.channels import Channel, Smtp

_log = logging.getLogger(__name__)

SIGNATURE_HEADER = "X-Onelens-Signature"
_WAIT_SECONDS = 10.0
"""Of one wait for the network."""
ATTEMPT_SECONDS = 20.0
"""Of everything that one attempt does."""
_QUOTED = 200
_TOO_MANY, _SERVER_ERROR = 429, 500
_FOR_EVER = 500
"""From this code of SMTP on, trying again soon is of no use."""


class DeliveryError(OnelensError):
    """A channel did not take a message."""

    def __init__(self, message: str, *, retry_after: float | None = None, may_pass: bool = True) -> None:
        super().__init__(visible(message))
        self.retry_after = retry_after
        self.may_pass = may_pass
        """Whether trying again within seconds may help."""


def send(
    channel: Channel,
    alerts: Sequence[Outgoing],
    *,
    dagster_url: str | None,
    now: dt.datetime,
    pictures: Sequence[Picture] = (),
) -> str | None:
    """Send one message, a mail with its pictures; return a remark where it arrived only in part.

    Raises DeliveryError, and SettingsError where a variable that the channel names is not set.
    """
    if channel.kind == "log":
        for told in log_lines(alerts, dagster_url):
            _log.warning("Alert (%s): %s", channel.id, told)
        return None
    if channel.kind == "email":
        return _send_mail(channel, alerts, dagster_url=dagster_url, now=now, pictures=pictures)
    is_slack = channel.kind == "slack_webhook"
    body = slack_body(alerts, dagster_url) if is_slack else webhook_body(alerts, now)
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "onelens-claude"}
    if channel.secret_env:
        digest = hmac.new(channel.secret("secret_env").encode(), body, hashlib.sha256).hexdigest()
        headers[SIGNATURE_HEADER] = f"sha256={digest}"
    _post(channel, body, headers, now)
    return None


def _post(channel: Channel, body: bytes, headers: dict[str, str], now: dt.datetime) -> None:
    url = channel.secret("url_env")
    place = f"alerts.{channel.id}"
    try:
        with MessageSession() as session:
            answer = session.post_whole(
                url, data=body, headers=headers, timeout=(_WAIT_SECONDS, _WAIT_SECONDS), seconds=ATTEMPT_SECONDS
            )
    except BoundExceededError as error:
        raise DeliveryError(f"{place}: the answer is no good: {error}") from None
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        # the words of requests hold the address, which for Slack is the secret itself
        raise DeliveryError(f"{place}: no answer ({_kind(error)}); check the address in {channel.url_env}") from None
    if 200 <= answer.status_code < 300:  # noqa: PLR2004
        return
    said = line(answer.content[:_QUOTED].decode("utf-8", "replace").replace(url, "(address)"))
    raise DeliveryError(
        f"{place}: answered {answer.status_code} {answer.reason}{f': {said}' if said else ''}",
        retry_after=_retry_after(answer.headers.get("Retry-After"), now) if answer.status_code == _TOO_MANY else None,
        may_pass=answer.status_code >= _SERVER_ERROR,
    )


def _kind(error: BaseException) -> str:
    """Return what happened without the words that a library put around it: `ConnectionResetError`, `ReadTimeout`."""
    names: list[str] = []
    inner: BaseException | None = error
    while inner is not None and len(names) < 4:  # noqa: PLR2004
        names.append(type(inner).__name__)
        inner = (
            inner.__cause__
            or inner.__context__
            or next((one for one in inner.args if isinstance(one, Exception)), None)
        )
    return " of ".join(dict.fromkeys((names[0], names[-1])))


def _retry_after(text: str | None, now: dt.datetime) -> float | None:
    """Return the seconds that `Retry-After` asks for, as a number or as a date."""
    if not text:
        return None
    if text.strip().isdigit():
        return float(text)
    with suppress(ValueError, TypeError):
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    return None


def _send_mail(
    channel: Channel,
    alerts: Sequence[Outgoing],
    *,
    dagster_url: str | None,
    now: dt.datetime,
    pictures: Sequence[Picture],
) -> str | None:
    smtp, sender = channel.smtp, channel.sender
    if smtp is None or sender is None:
        raise DeliveryError(f"alerts.{channel.id}: kind email needs smtp and from", may_pass=False)
    message = mail(alerts, sender=sender, recipients=channel.to, dagster_url=dagster_url, now=now, pictures=pictures)
    place = f"alerts.{channel.id}: {smtp.host}:{smtp.port}"
    login = (channel.secret("smtp.username_env"), channel.secret("smtp.password_env")) if smtp.username_env else None
    try:
        with _server(smtp, place) as server:
            if smtp.starttls:
                server.starttls(context=ssl.create_default_context())
            if login:
                server.login(*login)
            refused = server.send_message(message)
    except smtplib.SMTPAuthenticationError as error:
        raise DeliveryError(
            f"{place}: refused the login ({error.smtp_code}); check {smtp.username_env} and {smtp.password_env}",
            may_pass=False,
        ) from None
    except smtplib.SMTPRecipientsRefused as error:
        raise DeliveryError(
            f"{place}: refused every recipient: {_refusals(error.recipients)}", may_pass=False
        ) from None
    except smtplib.SMTPResponseException as error:
        said = error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        raise DeliveryError(
            f"{place}: answered {error.smtp_code} {line(said)}", may_pass=error.smtp_code < _FOR_EVER
        ) from None
    except (smtplib.SMTPException, OSError, ValueError) as error:
        raise DeliveryError(f"{place}: {line(str(error)) or type(error).__name__}") from None
    return f"{place}: refused {_refusals(refused)}" if refused else None


@contextmanager
def _server(smtp: Smtp, place: str) -> Iterator[smtplib.SMTP]:
    """Connect; a timer ends everything that takes longer than an attempt may: a timeout is of one wait only."""
    server = smtplib.SMTP(timeout=_WAIT_SECONDS)
    is_over = threading.Event()

    def shut_down() -> None:
        is_over.set()
        with suppress(OSError, AttributeError):
            socket.socket.shutdown(server.sock, socket.SHUT_RDWR)  # type: ignore[arg-type]

    timer = threading.Timer(ATTEMPT_SECONDS, shut_down)
    timer.daemon = True
    timer.start()
    try:
        server.connect(smtp.host, smtp.port)
        yield server
    except (smtplib.SMTPException, OSError):
        if is_over.is_set():
            raise DeliveryError(f"{place}: did not end within {ATTEMPT_SECONDS:g} seconds") from None
        raise
    finally:
        timer.cancel()
        server.close()  # the answer to QUIT would change nothing: the message was taken, or it was not


def _refusals(refused: dict[str, tuple[int, bytes]]) -> str:
    return "; ".join(
        f"{address}: {code} {line(said.decode('utf-8', 'replace'))}" for address, (code, said) in refused.items()
    )
