"""What a channel was told by a backfill and the `daily` after it: real runs, real marts, a real receiver."""

from __future__ import annotations

from collections import Counter

import pytest


@pytest.fixture
def bodies(loaded, receiver):
    """The one of the backfill and the one of the `daily`."""
    backfill, daily = receiver.posted[:2]
    return backfill.json["alerts"], daily.json["alerts"]


def test_a_backfill_is_one_message_with_one_summary_an_organisation_of_what_was_over(loaded, bodies):
    backfill, _ = bodies
    ids = {"acme", "globex", "umbrella", "initech"}
    past = [one for one in backfill if "in one summary" in one["title"]]
    assert {one["event"] for one in backfill} == {"budget", "anomaly"}
    summaries = Counter((one["event"], one["organization_id"]) for one in past)
    assert set(summaries.values()) == {1}
    assert {organization for event, organization in summaries if event == "budget"} == ids
    crossed = loaded.rows(
        """select count(*) as past from marts.budget_crossings
        where period_start < '2026-11-01' and organization_id = 'acme'""",
        path=loaded.folder / "data" / "first.duckdb",
    )
    (of_acme,) = (one for one in past if (one["event"], one["organization_id"]) == ("budget", "acme"))
    assert of_acme["data"]["count"] == crossed[0]["past"]


def test_each_member_of_a_budget_is_told_of_once_by_the_highest_threshold(loaded, bodies):
    backfill, _ = bodies
    told = Counter(
        (one["organization_id"], one["data"]["budget_id"], one["data"]["scope_value"])
        for one in backfill
        if "budget_id" in one["data"]
    )
    assert set(told.values()) == {1}
    highest = loaded.rows(
        """select organization_id, budget_id, scope_value, max(threshold_percent) as threshold
        from marts.budget_crossings where period_start = '2026-11-01' group by all""",
        path=loaded.folder / "data" / "first.duckdb",
    )
    assert {
        (*key, one["data"]["threshold"])
        for key, one in zip(told, (one for one in backfill if "budget_id" in one["data"]), strict=True)
    } == {(one["organization_id"], one["budget_id"], one["scope_value"], f"{one['threshold']}%") for one in highest}


def test_the_day_after_tells_only_what_is_new_and_what_revisions_took_back(loaded, bodies, receiver):
    backfill, daily = bodies
    keys = [one["alert_key"] for one in [*backfill, *daily]]
    assert len(keys) == len(set(keys))
    assert len(receiver.posted) == 2
    assert {one["attempt"] for one in daily} == {1}
    taken_back = loaded.rows("select count(*) as count from marts.budget_crossings where uncrossed_at is not null")
    corrections = [one for one in daily if one["correction_of"]]
    assert bool(corrections) is bool(taken_back[0]["count"])


def test_the_mart_in_the_copy_has_what_was_sent_and_each_query_of_an_alert_has_an_answer(loaded, bodies):
    backfill, daily = bodies
    rows = loaded.rows("select * from marts.alert_log")
    assert {row["status"] for row in rows} == {"sent"}
    assert {row["alert_key"] for row in rows if row["told_in"] is None} == {
        one["alert_key"] for one in [*backfill, *daily]
    }
    for one in [*backfill, *daily]:
        assert one["organization_id"] in one["query"]
        assert loaded.rows(one["query"]), one["query"]


def test_status_and_the_list_show_budgets_and_what_was_told(loaded):
    status = loaded.good("status", "--json").json
    assert {one["status"] for one in status["budgets"]} <= {"ok", "warning", "exceeded"}
    assert {one["period_start"] for one in status["budgets"]} == {"2026-11-01"}
    assert (status["open_anomalies"], status["channels_down"]) == (status["open_anomalies"], [])
    shown = loaded.good("status").stdout
    assert "exceeded" in shown
    listed = loaded.good("alerts", "list", "--json").json
    assert {one["channel"] for one in listed["alerts"]} == {"hook"}
    assert "sent" in loaded.good("alerts", "list").stdout
