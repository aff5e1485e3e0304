"""Engagement: availability, distinct counts, optional blocks, ranges, cuts, projects, and agreement with the truth."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from onelens_claude.fake_api import DEFAULT_FEATURES, FEATURES, create_app

from .helpers import NOW, Reader, served, spec

DAY = "2026-11-10"
BY_DATE = ["users", "skills", "connectors", "plugins", "artifacts", "apps/chat/projects"]


@pytest.mark.parametrize("path", BY_DATE)
def test_a_day_comes_at_ten_the_next_morning_and_until_then_the_400_names_the_newest(fresh: Reader, path: str) -> None:
    fresh.control("now", now="2026-11-18T09:59:59Z")
    message = "Data for 2026-11-17 is not available yet. The latest available date is 2026-11-16."
    assert fresh.refused(path, date="2026-11-17") == message
    assert fresh.get(path, date="2026-11-16").status_code == 200
    fresh.control("now", now="2026-11-18T10:00:00Z")
    assert fresh.get(path, date="2026-11-17").status_code == 200


def test_the_lag_is_a_setting_of_the_organization() -> None:
    with served(spec(engagement_lag_days=4)) as server:
        reader = Reader(server)
        assert "The latest available date is 2026-11-16." in reader.refused("users", date="2026-11-17")
        assert reader.truth()["latest_engagement_day"] == "2026-11-16"
        reader.control("freshness", engagement_lag_days=2)
        assert reader.get("users", date="2026-11-18").status_code == 200


def test_summaries_reach_up_to_the_newest_day_and_no_further(calm: Reader) -> None:
    rows = calm.ok("summaries", starting_date="2026-11-01")["data"]
    assert rows[-1]["starting_at"] == "2026-11-19T00:00:00Z"
    assert len(rows) == 19
    assert calm.get("summaries", starting_date="2026-11-01", ending_date="2026-11-20").status_code == 200
    refusal = calm.refused("summaries", starting_date="2026-11-01", ending_date="2026-11-21")
    assert refusal == "Data for 2026-11-20 is not available yet. The latest available date is 2026-11-19."
    assert calm.refused("summaries", starting_date="2026-11-05", ending_date="2026-11-05").startswith("ending_date")


def test_summaries_come_in_one_page_of_up_to_366_days() -> None:
    with served(spec(users=3)) as server:
        body = Reader(server).ok("summaries", starting_date="2026-01-01", ending_date="2026-11-20", limit=1)
        assert len(body["data"]) == 323
        assert (body["has_more"], body["next_page"]) == (False, None)


def test_summaries_equal_the_truth(calm: Reader) -> None:
    rows = calm.ok("summaries", starting_date="2026-10-20", ending_date="2026-11-09")["data"]
    truth = calm.truth("engagement")["rows"]
    names = [
        "daily_active_user_count",
        "weekly_active_user_count",
        "monthly_active_user_count",
        "assigned_seat_count",
        "pending_invite_count",
    ]
    assert [{name: row[name] for name in names} for row in rows] == [
        {name: row[name] for name in names} for row in truth
    ]
    for row in rows:
        for period in ("daily", "weekly", "monthly"):
            rate = 100 * row[f"{period}_active_user_count"] / row["assigned_seat_count"]
            assert row[f"{period}_adoption_rate"] == pytest.approx(rate, abs=0.0051)


def test_distinct_people_do_not_add_up_over_days(calm: Reader) -> None:
    rows = calm.ok("summaries", starting_date="2026-10-20", ending_date="2026-11-09")["data"]
    week = rows[-7:]
    assert max(row["daily_active_user_count"] for row in week) < week[-1]["weekly_active_user_count"]
    assert week[-1]["weekly_active_user_count"] < sum(row["daily_active_user_count"] for row in week)


def test_dau_is_the_number_of_users_rows_and_of_users_with_tokens(calm: Reader) -> None:
    users = calm.rows("users", date=DAY, limit=10)
    (summary,) = calm.ok("summaries", starting_date=DAY, ending_date="2026-11-11")["data"]
    assert len(users) == summary["daily_active_user_count"]
    window = {"starting_at": f"{DAY}T00:00:00Z", "ending_at": "2026-11-11T00:00:00Z"}
    tokens = {row["actor"]["user_id"]: row for row in calm.rows("user_usage_report", **window, limit=1000)}
    assert {row["user"]["id"] for row in users} <= set(tokens)
    assert sum(row["web_search_count"] for row in users) == sum(
        row["server_tool_use"]["web_search_requests"]
        for row in tokens.values()
        if row["actor"]["email_address"] or row["actor"]["deleted"]
    )


def test_each_surface_counts_the_people_whose_rows_show_activity_there(calm: Reader) -> None:
    users = calm.rows("users", date=DAY, limit=1000)
    (summary,) = calm.ok("summaries", starting_date=DAY, ending_date="2026-11-11")["data"]
    active = {
        "chat": [row["chat_metrics"]["message_count"] for row in users],
        "claude_code": [row["claude_code_metrics"]["core_metrics"]["distinct_session_count"] for row in users],
        "cowork": [row["cowork_metrics"]["message_count"] for row in users],
        "claude_design": [row["design_metrics"]["message_count"] for row in users],
        "office_agent": [sum(app["message_count"] for app in row["office_metrics"].values()) for row in users],
        "science": [row["science_metrics"]["message_count"] for row in users],
    }
    counted = {name: sum(1 for count in counts if count) for name, counts in active.items()}
    assert {name: summary[f"{name}_daily_active_user_count"] for name in active} == counted
    assert min(count for name, count in counted.items() if name != "science") > 0


def test_users_equal_the_truth(calm: Reader) -> None:
    (truth,) = calm.truth("engagement", **{"from": DAY, "to": DAY})["rows"]
    rows = {row["user"]["id"]: row for row in calm.rows("users", date=DAY, limit=1000)}
    assert set(rows) == set(truth["users"])
    for user_id, known in truth["users"].items():
        row = rows[user_id]
        assert row["chat_metrics"]["message_count"] == known["message_count"].get("chat", 0)
        assert row["chat_metrics"]["distinct_conversation_count"] == known["session_count"].get("chat", 0)
        assert row["cowork_metrics"]["message_count"] == known["message_count"].get("cowork", 0)
        assert row["office_metrics"]["excel"]["message_count"] == known["message_count"].get("excel", 0)
        assert row["claude_code_metrics"]["core_metrics"]["commit_count"] == known["commit_count"]
        assert row["claude_code_metrics"]["core_metrics"]["lines_of_code"] == {
            "added_count": known["lines_added"],
            "removed_count": known["lines_removed"],
        }


def test_projects_skills_connectors_and_plugins_equal_the_truth(calm: Reader) -> None:
    (truth,) = calm.truth("engagement", **{"from": DAY, "to": DAY})["rows"]
    projects = {row["project_id"]: row for row in calm.rows("apps/chat/projects", date=DAY)}
    assert {
        key: (row["distinct_user_count"], row["distinct_conversation_count"], row["message_count"], row["project_name"])
        for key, row in projects.items()
    } == {
        key: (row["users"], row["conversations"], row["messages"], row["name"])
        for key, row in truth["projects"].items()
    }
    for path, name, count in (("skills", "skill_name", "invocations"), ("plugins", "plugin_name", "invocations")):
        rows = {row[name]: (row["distinct_user_count"], row["invocation_count"]) for row in calm.rows(path, date=DAY)}
        assert rows == {key: (row["users"], row[count]) for key, row in truth[path].items()}
    connectors = {row["connector_name"]: row for row in calm.rows("connectors", date=DAY)}
    for key, known in truth["connectors"].items():
        row = connectors[key]
        assert row["read_call_count"] + row["write_call_count"] + row["unclassified_call_count"] == known["calls"]
        assert row["distinct_user_count"] == known["users"]


@pytest.mark.parametrize("path", ["users", "apps/chat/projects", "skills", "connectors", "plugins"])
def test_pages_hold_limit_rows_and_together_everything_once(calm: Reader, path: str) -> None:
    pages = calm.pages(path, date=DAY, limit=2)
    assert {len(page["data"]) for page in pages[:-1]} <= {2}
    assert [row for page in pages for row in page["data"]] == calm.rows(path, date=DAY, limit=1000)


def test_a_project_changes_its_name_and_loses_its_creator(calm: Reader) -> None:
    projects = create_app([spec()], now=lambda: NOW).state.api.tenants[0].engagement.projects
    project = next(one for one in projects if one.second_name != one.first_name and one.renamed_at.month > 2)
    with served(spec(first_day=date(2026, 1, 1)), now=project.renamed_at) as server:
        reader = Reader(server)
        day = project.renamed_at.date() - timedelta(days=30)
        names = []
        for hours in (-1, 0):
            reader.control("now", now=(project.renamed_at + timedelta(hours=hours)).isoformat())
            for back in range(20):
                rows = {
                    row["project_id"]: row
                    for row in reader.rows("apps/chat/projects", date=str(day + timedelta(days=back)))
                }
                if project.project_id in rows:
                    names.append(rows[project.project_id]["project_name"])
                    break
        assert names == [project.first_name, project.second_name]
    held = [
        row
        for back in range(12)
        for row in calm.rows("apps/chat/projects", date=str(date(2026, 11, 2) + timedelta(days=back)))
    ]
    assert any(row["created_by"] is None and row["created_at"] for row in held)
    assert any(row["created_by"] is None and row["created_at"] is None for row in held)
    assert any(row["created_by"] and "@" in row["created_by"]["email_address"] for row in held)


def test_blocks_that_are_not_enabled_are_absent_or_null_never_zero() -> None:
    with served(spec(features=frozenset()), spec(features=FEATURES, api_key="all", name="All")) as server:
        bare, full = Reader(server), Reader(server, "all")
        (few,), (many,) = (
            {**reader.ok("summaries", starting_date=DAY, ending_date="2026-11-11")}["data"] for reader in (bare, full)
        )
        assert "chat_daily_active_user_count" not in few
        assert many["chat_daily_active_user_count"] > 0
        assert many["science_entitled_user_count"] > 0
        assert many["chat_cowork_unified_daily_active_user_count"] == 0
        user, known = (reader.rows("users", date=DAY)[0] for reader in (bare, full))
        assert not {"claude_tag_metrics", "last_activity_date", "chat_cowork_unified_metrics"} & set(user)
        assert {"claude_tag_metrics", "last_activity_date", "chat_cowork_unified_metrics"} <= set(known)
        assert {
            user["cowork_metrics"][name] for name in ("file_edit_count", "plugins_used_count", "edit_tool_count")
        } == {None}
        assert None not in {
            known["cowork_metrics"][name] for name in ("file_edit_count", "plugins_used_count", "edit_tool_count")
        }
        skill = bare.rows("skills", date=DAY)[0]
        assert [
            skill[name] for name in ("invocation_count", "attributed_list_price", "estimated_overage_spend", "currency")
        ] == [None] * 4
        priced = [row for row in full.rows("skills", date=DAY) if row["attributed_list_price"]]
        assert {row["currency"] for row in priced} == {"USD"}
        assert all(
            isinstance(row["attributed_list_price"], str) and isinstance(row["estimated_overage_spend"], str)
            for row in priced
        )
        assert bare.rows("connectors", date=DAY)[0]["read_call_count"] is None
        assert DEFAULT_FEATURES < FEATURES


def test_a_range_adds_counters_and_recounts_people_but_leaves_other_distinct_counts_null(calm: Reader) -> None:
    days = [str(date(2026, 11, 2) + timedelta(days=number)) for number in range(5)]
    span = {"starting_date": days[0], "ending_date": "2026-11-07"}
    single = [row for day in days for row in calm.rows("users", date=day, limit=1000)]
    ranged = {row["user"]["id"]: row for row in calm.rows("users", **span, limit=1000)}
    assert sum(row["chat_metrics"]["message_count"] for row in ranged.values()) == sum(
        row["chat_metrics"]["message_count"] for row in single
    )
    assert set(ranged) == {row["user"]["id"] for row in single}
    assert {row["chat_metrics"]["distinct_conversation_count"] for row in ranged.values()} == {None}
    skills = {row["skill_name"]: row for row in calm.rows("skills", **span)}
    for name, row in skills.items():
        daily = [one for day in days for one in calm.rows("skills", date=day) if one["skill_name"] == name]
        assert row["invocation_count"] == sum(one["invocation_count"] for one in daily)
        assert (
            max(one["distinct_user_count"] for one in daily)
            <= row["distinct_user_count"]
            <= sum(one["distinct_user_count"] for one in daily)
        )
        assert row["enable_count"] is None
        assert row["chat_metrics"]["distinct_conversation_skill_used_count"] is None


def test_cuts_and_filters_of_people(calm: Reader) -> None:
    by_user = calm.rows("skills", date=DAY, group_by=["user_id", "product"], limit=1000)
    assert {row["distinct_user_count"] for row in by_user} == {1}
    whole = {row["skill_name"]: row["invocation_count"] for row in calm.rows("skills", date=DAY)}
    cut: dict[str, int] = {}
    for row in by_user:
        cut[row["skill_name"]] = cut.get(row["skill_name"], 0) + row["invocation_count"]
    assert cut == whole
    user = by_user[0]["user_id"]
    (one,) = calm.rows("users", date=DAY, filter=[f"user_id:{user}"])
    assert one["user"]["id"] == user
    groups = calm.rows("users", date=DAY, group_by=["rbac_group_id"])
    assert {row["user"] for row in groups} == {None}
    assert sum(row["distinct_user_count"] for row in groups) > len(calm.rows("users", date=DAY, limit=1000))
    group = next(row for row in groups if row["rbac_group_id"])
    members = calm.rows("users", date=DAY, filter=[f"rbac_group_id:{group['rbac_group_id']}"], limit=1000)
    assert len(members) == group["distinct_user_count"]
    (summary,) = calm.ok(
        "summaries", starting_date=DAY, ending_date="2026-11-11", filter=[f"rbac_group_id:{group['rbac_group_id']}"]
    )["data"]
    assert summary["daily_active_user_count"] == len(members)
    assert [summary[name] for name in ("assigned_seat_count", "daily_adoption_rate", "pending_invite_count")] == [
        None
    ] * 3


@pytest.mark.parametrize(
    ("path", "metric"),
    [
        ("skills", "invocation_count"),
        ("apps/chat/projects", "message_count"),
        ("connectors", "distinct_user_count"),
        ("users", "web_search_count"),
    ],
)
def test_rows_can_be_ranked(calm: Reader, path: str, metric: str) -> None:
    down = [row[metric] for row in calm.rows(path, date=DAY, order_by=metric, limit=1000)]
    assert down == sorted(down, reverse=True)
    up = [row[metric] for row in calm.rows(path, date=DAY, order_by=metric, order="asc", limit=1000)]
    assert up == sorted(up)


def test_artifacts_are_a_small_cube_where_published_never_exceeds_created(calm: Reader) -> None:
    body: dict[str, Any] = calm.ok("artifacts", date=DAY, limit=1)
    keys = [(row["artifact_type"], row["is_shared"]) for row in body["data"]]
    assert len(keys) == len(set(keys)) > 1
    assert all(row["published_artifacts_created_count"] <= row["artifacts_created_count"] for row in body["data"])
    users = calm.rows("users", date=DAY, limit=1000)
    created = sum(
        row["chat_metrics"]["distinct_artifacts_created_count"]
        + row["cowork_metrics"]["artifacts_created_count"]
        + row["claude_code_metrics"]["core_metrics"]["artifacts_created_count"]
        for row in users
    )
    assert sum(row["artifacts_created_count"] for row in body["data"]) == created
