"""Each fact reaches each channel once, whatever happens on the way: over HTTP to a real receiver and a real log file."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import multiprocessing
import os
import signal
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from onelens_claude.alerts import sending
from onelens_claude.alerts.delivery import evaluate
from onelens_claude.alerts.log import AlertLog
from onelens_claude.clock import naive_utc
from onelens_claude.errors import WarehouseError
from tests.alerts.conftest import HOOK, SLACK, fact, states
from tests.alerts.receivers import http_receiver

if TYPE_CHECKING:
    from onelens_claude.settings import Settings


def test_a_body_is_signed_versioned_and_says_everything_of_a_fact(settings, receiver):
    found = evaluate(settings(HOOK), [fact(data={"budget_id": "b"})])
    (posted,) = receiver.posted
    assert posted.headers["X-Onelens-Signature"] == (
        f"sha256={hmac.new(b'signing-s3cret', posted.body, hashlib.sha256).hexdigest()}"
    )
    assert posted.json == {
        "schema_version": 1,
        "alerts": [
            {
                "alert_key": fact().alert_key,
                "event": "budget",
                "organization_id": "acme",
                "severity": "warning",
                "attempt": 1,
                "correction_of": None,
                "title": "acme: budget b reached 80 %",
                "text": "Spent so far: $80.00 of $100.00.",
                "impact_usd": "80.00000000000000",
                "occurred_on": "2026-11-19",
                "data": {"budget_id": "b"},
                "query": "from marts.budget_status",
            }
        ],
        "sent_at": "2026-11-20T12:00:00Z",
    }
    assert found.in_words() == "1 new; 1 sent to hook"


def test_a_fact_is_told_once_to_each_channel_and_a_new_channel_hears_of_what_still_holds(settings, receiver):
    one = settings(HOOK)
    for _ in range(3):
        evaluate(one, [fact()])
    assert len(receiver.posted) == 1
    evaluate(settings(HOOK, {**HOOK, "id": "second"}), [fact(), fact("c")])
    assert [sorted(posted.keys) for posted in receiver.posted[1:]] == [
        [fact("c").alert_key],
        sorted([fact().alert_key, fact("c").alert_key]),
    ]


def test_several_facts_of_one_evaluation_are_one_body_the_worst_and_dearest_first(settings, receiver):
    facts = [
        fact("small"),
        fact("dear", impact_usd=Decimal(900)),
        fact("worst", severity="critical", impact_usd=None),
    ]
    evaluate(settings(HOOK), facts)
    (posted,) = receiver.posted
    assert posted.keys == [one.alert_key for one in reversed(facts)]


@pytest.mark.parametrize(
    ("channel", "told"),
    [
        ({"events": ["anomaly"]}, []),
        ({"organizations": ["beta"]}, []),
        ({"organizations": ["acme"]}, ["cheap", "dear", "unpriced"]),
        ({"min_impact_usd": "80.01"}, ["dear", "everywhere", "unpriced"]),
        ({"organizations": ["acme", "beta"]}, ["cheap", "dear", "everywhere", "unpriced"]),
    ],
)
def test_a_channel_is_told_of_its_events_organisations_and_amounts_only(settings, receiver, channel, told):
    facts = {
        "cheap": fact("cheap"),
        "dear": fact("dear", impact_usd=Decimal(-500)),
        "unpriced": fact("unpriced", impact_usd=None),
        "everywhere": fact("everywhere", organization_id="*", impact_usd=None),
    }
    evaluate(settings({**HOOK, **channel}), facts.values())
    assert {one["alert_key"] for one in receiver.alerts} == {facts[name].alert_key for name in told}


@pytest.mark.parametrize("fault", [500, 503, "reset", "hang"])
def test_a_passing_fault_is_tried_again_at_once_and_the_repeat_says_so(settings, receiver, fault, monkeypatch):
    monkeypatch.setattr(sending, "_WAIT_SECONDS", 0.3)
    receiver.answers = [fault]
    one = settings(HOOK)
    evaluate(one, [fact()])
    evaluate(one, [fact()])
    assert [(alert["alert_key"], alert["attempt"]) for alert in receiver.alerts] == [
        (fact().alert_key, 1),
        (fact().alert_key, 2),
    ]
    assert states(one) == {fact().title: ("sent", 2)}


def test_a_channel_that_is_down_holds_up_no_other_and_gets_everything_in_one_body_when_it_is_back(
    settings, receiver, set_now, monkeypatch
):
    with http_receiver() as other:
        monkeypatch.setenv("OTHER_URL", other.address)
        one = settings(HOOK, {"id": "other", "kind": "webhook", "url_env": "OTHER_URL"})
        receiver.otherwise = 500
        found = evaluate(one, [fact()])
        assert len(other.posted) == 1
    one = settings(HOOK)
    assert found.problems == ["alerts.hook: answered 500 Internal Server Error: fine"]
    (down,) = AlertLog(one.alerts_path).down()
    assert (down.channel, down.down_since) == ("hook", naive_utc(dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)))
    tried = len(receiver.posted)
    evaluate(one, [fact(), fact("c")])  # it waits for its next attempt
    assert len(receiver.posted) == tried

    receiver.otherwise = 200
    set_now("2026-11-20T13:00:00Z")
    evaluate(one, [])
    assert len(receiver.posted) == tried + 1
    assert sorted((alert["alert_key"], alert["attempt"]) for alert in receiver.posted[-1].json["alerts"]) == sorted(
        [(fact().alert_key, 4), (fact("c").alert_key, 1)]
    )
    assert AlertLog(one.alerts_path).down() == []


def test_after_seven_days_of_failures_it_gives_up_and_says_so(settings, receiver, set_now):
    one = settings(HOOK)
    receiver.otherwise = 404
    evaluate(one, [fact()])
    for day in ("23", "26"):
        set_now(f"2026-11-{day}T12:00:00Z")
        evaluate(one, [])
    assert states(one) == {fact().title: ("retrying", 3)}
    receiver.otherwise = 200
    set_now("2026-11-27T12:00:00Z")
    evaluate(one, [fact()])
    assert states(one) == {fact().title: ("gave_up", 3)}
    assert len(receiver.posted) == 3


def test_a_wait_that_a_429_asks_for_is_kept_short_ones_at_once_and_long_ones_by_a_later_evaluation(
    settings, receiver, set_now
):
    one = settings(SLACK)
    receiver.answers = [(429, {"Retry-After": "0"}), (429, {"Retry-After": "7200"})]
    evaluate(one, [fact()])
    assert len(receiver.posted) == 2
    set_now("2026-11-20T13:59:00Z")
    evaluate(one, [])
    assert len(receiver.posted) == 2
    set_now("2026-11-20T14:00:01Z")
    evaluate(one, [])
    assert len(receiver.posted) == 3
    assert states(one) == {fact().title: ("sent", 3)}


def _killed_when_it_arrived(settings: Settings) -> None:
    def taken_but_not_noted(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    AlertLog.sent = taken_but_not_noted  # type: ignore[method-assign]
    evaluate(settings, [fact()])


def test_a_kill_between_sending_and_noting_it_repeats_the_message_once_with_its_key_and_says_so(settings, receiver):
    one = settings(HOOK)
    process = multiprocessing.get_context("fork").Process(target=_killed_when_it_arrived, args=(one,))
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    for _ in range(3):
        evaluate(one, [fact()])
    assert [(alert["alert_key"], alert["attempt"]) for alert in receiver.alerts] == [
        (fact().alert_key, 1),
        (fact().alert_key, 2),
    ]


def test_two_evaluations_at_once_tell_once(settings, receiver):
    one = settings(HOOK)
    with AlertLog(one.alerts_path).exclusive(1) as first:
        assert first
        found = evaluate(one, [fact()], lock_seconds=0)
        assert found.problems == ["another process evaluates the alerts; the next evaluation does the rest"]
    evaluate(one, [fact()])
    assert len(receiver.posted) == 1


def test_a_higher_threshold_speaks_for_the_lower_ones_of_the_same_evaluation(settings, receiver):
    steps = [fact(str(rank), group=("b", "2026-11"), rank=rank) for rank in (50, 80, 100)]
    one = settings(HOOK)
    evaluate(one, steps[:1])
    evaluate(one, steps)
    assert [posted.keys for posted in receiver.posted] == [[steps[0].alert_key], [steps[2].alert_key]]
    assert {status for status, _ in states(one).values()} == {"sent"}
    told_in = {row["alert_key"]: row["told_in"] for row in AlertLog(one.alerts_path).rows()}
    assert told_in == {one.alert_key: steps[2].alert_key if one is steps[1] else None for one in steps}


def test_what_was_over_when_it_was_first_seen_is_one_summary_and_what_is_new_is_told_beside_it(settings, receiver):
    one = settings(HOOK)
    past = [
        fact(f"{day}", occurred_on=dt.date(2026, 1, 1) + dt.timedelta(days=day), is_past=True, impact_usd=Decimal(day))
        for day in range(300)
    ]
    evaluate(one, [*past, fact("now")])
    evaluate(one, [*past, fact("now")])
    (posted,) = receiver.posted
    now, summary = posted.json["alerts"]
    assert now["alert_key"] == fact("now").alert_key
    assert summary["title"] == "acme: 300 past budget alerts, 2026-01-01 to 2026-10-27, in one summary"
    assert "- acme: budget 299 reached 80 % ($299.00)" in summary["text"]
    assert "and 290 more" in summary["text"]
    assert summary["data"]["count"] == 300
    assert len(AlertLog(one.alerts_path).rows()) == 302
    assert {status for status, _ in states(one).values()} == {"sent"}


def test_a_summary_names_an_amount_once_though_the_title_has_it(settings, receiver):
    past = [
        replace(fact(str(day), is_past=True, impact_usd=Decimal(day)), title=f"acme: spike {day} (${day}.00)")
        for day in (10, 20)
    ]
    evaluate(settings(HOOK), past)
    (alert,) = receiver.alerts
    assert alert["text"].splitlines()[1:] == ["- acme: spike 20 ($20.00)", "- acme: spike 10 ($10.00)"]


def test_what_is_revised_away_is_corrected_once_where_it_was_told_and_nowhere_else(settings, receiver, set_now):
    one = settings(HOOK, {**HOOK, "id": "other", "events": ["anomaly"]})
    evaluate(one, [fact("told")])
    set_now("2026-11-22T12:00:00Z")
    gone = [fact("told", is_withdrawn=True), fact("never-told", is_withdrawn=True)]
    for _ in range(3):
        evaluate(one, gone)
    _, correction = receiver.alerts
    assert correction["correction_of"] == fact("told").alert_key
    assert correction["alert_key"] != fact("told").alert_key
    assert correction["title"] == "Correction: acme: budget told reached 80 %: this no longer holds"
    assert "since this was seen on 2026-11-20" in correction["text"]
    evaluate(one, [fact("told")])
    assert len(receiver.posted) == 2


def test_what_waits_and_is_revised_away_is_never_told_nor_corrected(settings, receiver, set_now):
    one = settings({**HOOK, "quiet_hours": "11:00-13:00 UTC"})
    evaluate(one, [fact("50", group=("b",), rank=50), fact("100", group=("b",), rank=100)])
    assert [status for status, _ in states(one).values()] == ["held", "held"]
    set_now("2026-11-20T13:00:00Z")
    evaluate(one, [fact("50", group=("b",), rank=50), fact("100", group=("b",), rank=100, is_withdrawn=True)])
    assert [posted.keys for posted in receiver.posted] == [[fact("50").alert_key]]


def test_a_condition_is_told_when_it_begins_and_again_only_after_it_had_ended(settings, receiver, set_now):
    one = settings(HOOK)
    failing, passing = fact(event="data_quality", holds=True), fact(event="data_quality", holds=False)
    for minute, seen in enumerate([passing, failing, failing, passing, failing]):
        set_now(f"2026-11-20T12:{minute:02}:00Z")
        evaluate(one, [seen])
    assert len(receiver.posted) == 2
    assert len({alert["alert_key"] for alert in receiver.alerts}) == 2


def test_facts_of_two_organisations_with_budgets_of_one_id_are_two(settings, receiver):
    evaluate(settings(HOOK), [fact(), fact(organization_id="beta")])
    assert len({alert["alert_key"] for alert in receiver.alerts}) == 2


@pytest.mark.parametrize(
    ("moment", "is_sent"),
    [
        ("2026-03-28T18:59:00Z", True),  # 19:59 in Berlin, where clocks go forward in this night
        ("2026-03-28T19:00:00Z", False),
        ("2026-03-29T04:59:00Z", False),  # 06:59
        ("2026-03-29T05:00:00Z", True),  # 07:00, an hour earlier than the day before
        ("2026-10-25T05:59:00Z", False),  # 06:59, after they went back
        ("2026-10-25T06:00:00Z", True),
    ],
)
def test_quiet_hours_are_what_the_clocks_there_show(settings, receiver, set_now, moment, is_sent):
    one = settings({**HOOK, "quiet_hours": "20:00-07:00 Europe/Berlin"})
    set_now(moment)
    evaluate(one, [fact()])
    assert bool(receiver.posted) is is_sent
    assert states(one)[fact().title][0] == ("sent" if is_sent else "held")


def test_a_channel_without_its_variable_is_a_problem_of_that_channel_and_loses_nothing(
    settings, receiver, monkeypatch, set_now
):
    one = settings(HOOK)
    monkeypatch.delenv("HOOK_SECRET")
    assert evaluate(one, [fact()]).problems == [
        "alerts.hook.secret_env: environment variable HOOK_SECRET is not set or empty"
    ]
    monkeypatch.setenv("HOOK_SECRET", "x")
    set_now("2026-11-20T12:05:00Z")
    evaluate(one, [])
    assert len(receiver.posted) == 1


def test_no_secret_is_in_the_log_or_in_an_error(settings, monkeypatch, receiver):
    receiver.otherwise = 400
    one = settings(HOOK, SLACK)
    found = evaluate(one, [fact()])
    monkeypatch.setenv("HOOK_URL", "http://127.0.0.1:9/hook/s3cret")
    found.problems += evaluate(settings({**HOOK, "id": "unreachable"}), [fact()]).problems
    assert len(found.problems) == 3
    said = f"{found.problems} {AlertLog(one.alerts_path).rows()} {AlertLog(one.alerts_path).down()}"
    assert "s3cret" not in said
    assert "ConnectionRefusedError" in said
    assert b"s3cret" not in one.alerts_path.read_bytes()
    assert b"sk-ant-acme" not in one.alerts_path.read_bytes()


def test_a_key_is_told_of_a_week_before_it_is_ninety_days_old_and_a_new_key_is_new(
    settings, receiver, set_now, tmp_path
):
    one = settings({**HOOK, "events": ["key_rotation"]})
    evaluate(one, [])
    set_now("2027-02-10T23:00:00Z")
    evaluate(one, [])
    assert receiver.posted == []
    set_now("2027-02-11T00:00:00Z")
    (tmp_path / "beta.key").write_text("sk-ant-new")
    for _ in range(2):
        evaluate(one, [])
    (alert,) = receiver.alerts
    assert (alert["organization_id"], alert["occurred_on"]) == ("acme", "2027-02-18")
    assert alert["title"] == "acme: the API key is 83 days old; rotate it by 2027-02-18"


def test_a_damaged_log_is_one_clear_sentence(settings):
    one = settings()
    one.alerts_path.parent.mkdir(parents=True, exist_ok=True)
    one.alerts_path.write_text("this is no database")
    with pytest.raises(WarehouseError, match=r"onelens_alerts\.duckdb: the alert log cannot be used: .*backup"):
        evaluate(one, [fact()])
