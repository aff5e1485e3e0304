"""How alerts read in each kind of channel. What comes from the API is data there: escaped, never obeyed.

What is here: the body of a webhook, the blocks of Slack, the parts of a mail, the lines of a log.
What to add here: another kind of channel. What must not go here: sending (`sending.py`).
"""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from dataclasses import replace
from email.message import EmailMessage
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from onelens_claude.visible import visible

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from onelens_claude.alerts.log import Outgoing
    from onelens_claude.report.pictures import Picture

SCHEMA_VERSION = 1
IN_FULL = 5
"""More alerts than these are one digest."""
_LISTED = 15
_SLACK_HEADER, _SLACK_TEXT = 150, 2_900
"""Characters that Slack takes in a header and, less some room, in a text."""
_SLACK_LIST = 20
_LONGEST_SUBJECT = 150
_MARKS = {"critical": "🔴", "warning": "🟠", "info": "🔵"}
_REPEATED = "It may have arrived before: an earlier attempt was interrupted or got no answer."


def webhook_body(alerts: Sequence[Outgoing], now: dt.datetime) -> bytes:
    """Return the JSON of a generic webhook, version 1."""
    content = {
        "schema_version": SCHEMA_VERSION,
        "alerts": [
            {
                "alert_key": one.alert_key,
                "event": one.event,
                "organization_id": one.organization_id,
                "severity": one.severity,
                "attempt": one.attempts,
                "correction_of": one.correction_of,
                "title": one.title,
                "text": one.text,
                "impact_usd": None if one.impact_usd is None else f"{one.impact_usd:f}",
                "occurred_on": str(one.occurred_on),
                "data": one.data,
                "query": one.query,
            }
            for one in alerts
        ],
        "sent_at": now.isoformat().replace("+00:00", "Z"),
    }
    return json.dumps(content, ensure_ascii=False).encode("utf-8", "backslashreplace")


def slack_body(alerts: Sequence[Outgoing], dagster_url: str | None) -> bytes:
    """Return the JSON of a Slack incoming webhook.

    Everything but links is `plain_text` or `rich_text`, in which Slack looks for no markup; the line that notifications
    show (`text`) has none that is not escaped.
    """
    alerts = _visible(alerts)
    heading = subject(alerts)
    blocks: list[dict[str, Any]] = [{"type": "header", "text": _plain(heading, _SLACK_HEADER)}]
    if len(alerts) > IN_FULL:
        listed = "\n".join(f"{_MARKS[one.severity]} {one.title}" for one in alerts[:_SLACK_LIST])
        blocks.append({"type": "section", "text": _plain(f"{_counts(alerts)}\n{listed}{_more(alerts, _SLACK_LIST)}")})
        return _slack_json(heading, blocks)
    for one in alerts:
        if len(alerts) > 1:
            blocks += [{"type": "divider"}, {"type": "section", "text": _plain(f"{_MARKS[one.severity]} {one.title}")}]
        blocks.append({"type": "section", "text": _plain(_told(one))})
        code = {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": _unmentioned(one.query)}]}
        blocks.append({"type": "rich_text", "elements": [code]})
        if link := _link(one, dagster_url):
            linked = {"type": "mrkdwn", "text": f"<{_mrkdwn(link)}|Open in Dagster>"}
            blocks.append({"type": "context", "elements": [linked]})
    return _slack_json(heading, blocks)


def _slack_json(heading: str, blocks: list[dict[str, Any]]) -> bytes:
    return json.dumps({"text": _mrkdwn(_unmentioned(heading)), "blocks": blocks}, ensure_ascii=False).encode(
        "utf-8", "backslashreplace"
    )


def _plain(text: str, length: int = _SLACK_TEXT) -> dict[str, Any]:
    text = _unmentioned(text)
    return {"type": "plain_text", "text": text if len(text) <= length else f"{text[: length - 1]}…", "emoji": False}


def _unmentioned(text: str) -> str:
    """Return a text that calls nobody, whatever Slack or a relay behind it makes of `@channel` and `<!here>`."""
    return re.sub(r"([@!])(?=(channel|here|everyone)\b)", "\\1\u2060", text, flags=re.IGNORECASE)


def _mrkdwn(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def mail(
    alerts: Sequence[Outgoing],
    *,
    sender: str,
    recipients: Sequence[str],
    dagster_url: str | None,
    now: dt.datetime,
    pictures: Sequence[Picture] = (),
) -> EmailMessage:
    """Return a mail of text and HTML. Its id is made of the alerts, so that a repeat is the same mail.

    The pictures are in the mail and shown by its HTML; a reader that shows only text finds them attached.
    """
    alerts = _visible(alerts)
    message = EmailMessage()
    message["Subject"] = subject(alerts)[:_LONGEST_SUBJECT]
    message["From"] = sender
    message["To"] = ", ".join(recipients)
    message["Date"] = format_datetime(now)
    message["Message-ID"] = (
        f"<{'.'.join(one.alert_key for one in alerts[:3])}.{len(alerts)}@{sender.rsplit('@', 1)[1]}>"
    )
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_mail_text(alerts, dagster_url))
    message.add_alternative(_with_pictures(_mail_html(alerts, dagster_url), pictures), subtype="html")
    for one in pictures:
        message.get_body(("html",)).add_related(  # type: ignore[union-attr] # it was added just now
            one.png, "image", "png", cid=f"<{_content_id(one)}>", filename=f"{one.name}.png", disposition="inline"
        )
    return message


def _content_id(picture: Picture) -> str:
    return f"{picture.name}@onelens-claude"


def _with_pictures(body: str, pictures: Sequence[Picture]) -> str:
    shown = "".join(
        f'<p><img src="cid:{_content_id(one)}" alt="{html.escape(one.says)}" width="720" style="max-width:100%"></p>'
        for one in pictures
    )
    return body.replace("</body>", f"{shown}</body>")


def _mail_text(alerts: Sequence[Outgoing], dagster_url: str | None) -> str:
    if len(alerts) > IN_FULL:
        lines = [f"- [{one.severity}] {one.title}" for one in alerts[:_LISTED]]
        return "\n".join([_counts(alerts), "", *lines, _more(alerts, _LISTED).strip(), ""])
    parts = []
    for one in alerts:
        link = _link(one, dagster_url)
        lines = [one.title, "", _told(one), "", "To look closer: onelens-claude query", one.query]
        parts.append("\n".join([*lines, *([link] if link else [])]))
    return "\n\n".join(parts) + "\n"


def _mail_html(alerts: Sequence[Outgoing], dagster_url: str | None) -> str:
    if len(alerts) > IN_FULL:
        rows = "".join(f"<li>[{one.severity}] {html.escape(one.title)}</li>" for one in alerts[:_LISTED])
        more = html.escape(_more(alerts, _LISTED).strip())
        return f"<html><body><p>{html.escape(_counts(alerts))}</p><ul>{rows}</ul><p>{more}</p></body></html>\n"
    parts = []
    for one in alerts:
        text = html.escape(_told(one)).replace("\n", "<br>")
        link = _link(one, dagster_url)
        linked = f'<p><a href="{html.escape(link)}">Open in Dagster</a></p>' if link else ""
        parts.append(f"<h3>{html.escape(one.title)}</h3><p>{text}</p><pre>{html.escape(one.query)}</pre>{linked}")
    return f"<html><body>{'<hr>'.join(parts)}</body></html>\n"


def log_lines(alerts: Sequence[Outgoing], dagster_url: str | None) -> list[str]:
    """Return the lines of a log: one per alert, with its text on the same line."""
    lines = []
    for one in _visible(alerts):
        told = " ".join(_told(one).splitlines())
        link = _link(one, dagster_url)
        lines.append(f"[{one.severity}] {one.title}. {told} Query: {one.query}{f' {link}' if link else ''}")
    return lines


def _visible(alerts: Sequence[Outgoing]) -> list[Outgoing]:
    """Return the alerts as people may see them: an id in a query may hold anything."""
    return [
        replace(one, title=visible(one.title), text=visible(one.text, keep="\n"), query=visible(one.query))
        for one in alerts
    ]


def subject(alerts: Sequence[Outgoing]) -> str:
    """Return one line that says what a message is about."""
    if len(alerts) == 1:
        return alerts[0].title
    organizations = sorted({one.organization_id for one in alerts})
    where = f"{organizations[0]}: " if len(organizations) == 1 and organizations[0] != "*" else ""
    return f"{where}{len(alerts)} alerts: {_counts(alerts)}"


def _counts(alerts: Sequence[Outgoing]) -> str:
    counted = Counter(one.event.replace("_", " ") for one in alerts)
    return ", ".join(f"{count} {event}" for event, count in counted.items())


def _more(alerts: Sequence[Outgoing], listed: int) -> str:
    more = len(alerts) - listed
    return f"\nand {more} more: `onelens-claude alerts list`" if more > 0 else ""


def _told(one: Outgoing) -> str:
    return f"{one.text}\n{_REPEATED}" if one.attempts > 1 else one.text


def _link(one: Outgoing, dagster_url: str | None) -> str:
    return f"{dagster_url}/{one.page}" if dagster_url and one.page else ""
