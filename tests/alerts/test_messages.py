"""How alerts read: text from the API is data in every kind of channel, and mail goes through a real server."""

from __future__ import annotations

import datetime as dt
import html.parser
import time
from decimal import Decimal
from typing import Any

import pytest

from onelens_claude.alerts import sending
from onelens_claude.alerts.delivery import evaluate
from onelens_claude.alerts.fact import dollars, named
from onelens_claude.alerts.log import AlertLog
from tests.alerts.conftest import SLACK, fact, states
from tests.alerts.receivers import MailServer, free_port
from tests.report.made_up import write_marts

EVIL = (
    "Eve <!channel> <@U1> @here <script>alert(1)</script> & *b* `c`\r\nBcc: x@example.org\u202e\x1b[31m "
    "</pre><a href='https://evil.example'>x</a>"
)


def mail_channel(server: MailServer | int, **changed: Any) -> dict[str, Any]:
    port = server if isinstance(server, int) else server.port
    smtp = {"host": "127.0.0.1", "port": port, "starttls": False}
    smtp |= {"username_env": "SMTP_USER", "password_env": "SMTP_PASSWORD"}
    return {
        "id": "mail",
        "kind": "email",
        "smtp": smtp,
        "from": "onelens@example.com",
        "to": ["a@example.com", "b@example.com"],
        **changed,
    }


class _Tags(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)


def strings(value: Any, kind: str = "") -> list[tuple[str, str]]:
    """Return every text of Slack blocks with the type of the object that holds it."""
    if isinstance(value, dict):
        return [found for one in value.values() for found in strings(one, value.get("type", kind))]
    if isinstance(value, list):
        return [found for one in value for found in strings(one, kind)]
    return [(kind, value)] if isinstance(value, str) else []


@pytest.mark.parametrize("count", [1, 2, 9])
def test_no_name_can_call_people_or_write_markup_in_slack(settings, receiver, count):
    title = f"acme: budget of {named(EVIL)}"
    facts = [fact(str(number), title=title, text=named(EVIL), query=f"select '{EVIL}'") for number in range(count)]
    evaluate(settings(SLACK, dagster_url="https://dagster.example.com/"), facts)
    (posted,) = receiver.posted
    assert "<" not in posted.json["text"]
    said = strings(posted.json["blocks"])
    markup = {text for kind, text in said if kind == "mrkdwn" and text != "mrkdwn"}
    assert all("Eve" not in text for text in markup)
    assert not any(mention in posted.body.decode() for mention in ("@here", "<!channel>", "\x1b", "\u202e"))
    assert any("Eve" in text for kind, text in said if kind == "plain_text")


def test_slack_is_told_what_happened_with_a_query_and_a_link_and_in_pieces_it_takes(settings, receiver):
    one = fact(title="t" * 500, text="x" * 9_000, page="assets/marts/budget_status")
    evaluate(settings(SLACK, dagster_url="https://dagster.example.com/ui/"), [one])
    header, section, code, context = receiver.posted[0].json["blocks"]
    assert len(header["text"]["text"]) == 150
    assert len(section["text"]["text"]) < 3_000
    assert code["elements"][0]["elements"][0]["text"] == "from marts.budget_status"
    assert context["elements"][0]["text"] == (
        "<https://dagster.example.com/ui/assets/marts/budget_status|Open in Dagster>"
    )


def test_many_alerts_are_one_digest_that_counts_them_and_names_the_worst(settings, receiver):
    facts = [fact(f"{number:02}", impact_usd=Decimal(number)) for number in range(30)]
    evaluate(settings(SLACK), [*facts, fact("late", event="data_quality", severity="critical")])
    (posted,) = receiver.posted
    header, section = posted.json["blocks"]
    assert header["text"]["text"] == "acme: 31 alerts: 1 data quality, 30 budget"
    lines = section["text"]["text"].splitlines()
    assert lines[1:3] == ["🔴 acme: budget late reached 80 %", "🟠 acme: budget 29 reached 80 %"]
    assert lines[-1] == "and 11 more: `onelens-claude alerts list`"


def test_a_mail_has_text_and_html_in_which_names_are_data(settings, post_office):
    one = fact(title=f"acme: budget of {named(EVIL)}", text=f"{named(EVIL)}\nsecond line", page="runs/1", query=EVIL)
    evaluate(settings(mail_channel(post_office), dagster_url="http://127.0.0.1:3000"), [one])
    (message,) = post_office.taken
    assert post_office.logins == 1
    assert message["From"] == "onelens@example.com"
    assert message["To"] == "a@example.com, b@example.com"
    assert message["Bcc"] is None
    assert "Eve" in message["Subject"]
    plain, marked_up = (message.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert "second line" in plain
    assert "http://127.0.0.1:3000/runs/1" in plain
    assert _Tags(marked_up).tags == {"html", "body", "h3", "p", "br", "pre", "a"}
    assert marked_up.count("<a ") == 1
    assert 'href="http://127.0.0.1:3000/runs/1"' in marked_up


def test_a_repeated_mail_has_the_id_of_the_first_and_says_that_it_may_be_one(settings, post_office, set_now):
    one = settings(mail_channel(post_office))
    post_office.manners = "drop"
    found = evaluate(one, [fact()])
    assert found.problems == ["alerts.mail: 127.0.0.1:" + f"{post_office.port}: Connection unexpectedly closed"]
    post_office.manners = "good"
    set_now("2026-11-20T13:00:00Z")
    evaluate(one, [fact()])
    (message,) = post_office.taken
    assert message["Message-ID"] == f"<{fact().alert_key}.1@example.com>"
    assert "may have arrived before" in message.get_body(("plain",)).get_content()
    assert states(one) == {fact().title: ("sent", 4)}


@pytest.mark.parametrize(
    ("manners", "reason"),
    [
        ("refuse", "refused the login (535); check SMTP_USER and SMTP_PASSWORD"),
        ("hang", "timed out"),
        ("drip", "did not end within 0.5 seconds"),
        ("absent", "Connection refused"),
    ],
)
def test_a_mail_server_that_takes_nothing_costs_a_bounded_time_and_loses_nothing(
    settings, post_office, monkeypatch, manners, reason
):
    monkeypatch.setattr(sending, "_WAIT_SECONDS", 0.2)
    monkeypatch.setattr(sending, "ATTEMPT_SECONDS", 0.5)
    post_office.manners = manners
    one = settings(mail_channel(free_port() if manners == "absent" else post_office))
    began = time.monotonic()
    (problem,) = evaluate(one, [fact()]).problems
    assert time.monotonic() - began < 5
    assert problem.startswith("alerts.mail: 127.0.0.1:")
    assert reason in problem
    assert "s3cret" not in problem
    assert states(one)[fact().title][0] == "retrying"


def test_a_recipient_who_is_refused_keeps_the_mail_from_nobody_else_and_is_named_in_the_log(settings, post_office):
    post_office.refused = ("b@example.com",)
    one = settings(mail_channel(post_office))
    evaluate(one, [fact()])
    (row,) = AlertLog(one.alerts_path).rows()
    assert (row["status"], len(post_office.taken)) == ("sent", 1)
    assert "refused b@example.com: 550 5.1.1 nobody here" in row["last_error"]


def test_a_log_has_one_line_for_each_alert(settings, caplog):
    evaluate(settings({"id": "here", "kind": "log"}), [fact(text="one\ntwo"), fact("c")])
    lines = [record.getMessage() for record in caplog.records if "Alert (" in record.getMessage()]
    assert len(lines) == 2
    assert "Alert (here): [warning] acme: budget b reached 80 %. one two Query: from marts.budget_status" in lines


@pytest.mark.parametrize(
    ("amount", "shown"),
    [("1234.505", "$1,234.50"), ("-0.005", "$0.00"), ("-12", "-$12.00"), ("0.00000000000001", "$0.00")],
)
def test_amounts_are_shown_to_the_cent(amount, shown):
    assert dollars(Decimal(amount)) == shown


@pytest.mark.parametrize("count", [1, 9])
def test_a_mail_shows_the_charts_of_the_organisations_it_is_about_and_arrives_without_where_there_are_none(
    settings, post_office, count, caplog
):
    here = settings(mail_channel(post_office))
    evaluate(here, [fact("early")])
    day = dt.date(2026, 11, 18)
    of_both = [("acme", "Acme & <b>"), ("beta", "Beta")]
    write_marts(
        here.serving_path,
        {
            "dim_claude_organizations": [(key, name, "usage", day, day, None) for key, name in of_both],
            "cost_reconciliation": [(key, day, Decimal(1234), "exact", "final") for key, _ in of_both],
            "fct_claude_costs": [
                (key, day, "u", "user", "chat", "m", True, Decimal(1234), Decimal(1234)) for key, _ in of_both
            ],
        },
    )
    found = evaluate(here, [fact(f"b{number}") for number in range(count)])
    assert (found.sent, found.problems) == ({"mail": count}, [])
    without, shown = post_office.taken
    assert list(without.iter_attachments()) == []
    pictures = [part for part in shown.walk() if part.get_content_type() == "image/png"]
    assert {part.get_filename() for part in pictures} == {"month.png", "daily.png"}
    assert all(part.get_content().startswith(b"\x89PNG\r\n") for part in pictures)
    body = shown.get_body(("html",)).get_content()
    for part in pictures:
        assert f'src="cid:{part["Content-ID"].strip("<>")}"' in body
    assert 'alt="Acme &amp; &lt;b&gt;: $12.34 from 1 to 18 Nov 2026."' in body
    assert "Beta" not in body

    here.serving_path.write_bytes(b"no database")
    assert evaluate(here, [fact("late")]).sent == {"mail": 1}
    assert "the mail has no pictures" in caplog.text
