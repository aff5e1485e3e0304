"""The engagement marts against the local server's own truth: people, the organisation and which days are there.

What belongs here: who was active where, and how many, from real pages, landed by the real code, built by the real dbt. What does not: what they used (`test_engagement_tools.py`), months (`test_engagement_months.py`)
and single rules with named rows (the unit tests beside the models).
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from tests.dbt_project.engagement_world import (
    BETA_LATEST,
    DAY,
    ENGAGEMENT_MARTS,
    FIRST,
    LAST,
    NULL_BLOCK_DAY,
    SURFACES,
    truth_users,
)

if TYPE_CHECKING:
    from tests.dbt_project.engagement_world import BuiltWorld

# who did what


@pytest.mark.parametrize("name", ["acme", "beta"])
def test_every_active_user_has_a_row_with_the_servers_counts(world: BuiltWorld, name: str) -> None:
    rows = world.dicts("select * from marts.user_daily_engagement where organization_id = ?", name)
    truth = truth_users(world, name)
    assert {(row["activity_date"], row["user_id"]) for row in rows} == set(truth)
    for row in rows:
        told = truth[row["activity_date"], row["user_id"]]
        messages, sessions = told["message_count"], told["session_count"]
        assert row["web_search_count"] == told["web_search_count"]
        assert row["claude_code_commit_count"] == told["commit_count"]
        assert row["claude_code_pull_request_count"] == told["pull_request_count"]
        assert row["claude_code_lines_of_code_added_count"] == told["lines_added"]
        assert row["claude_code_lines_of_code_removed_count"] == told["lines_removed"]
        assert row["claude_code_distinct_session_count"] == sessions.get("claude_code", 0)
        for app in SURFACES["office"]:
            assert row[f"office_{app}_message_count"] == messages.get(app, 0)
            assert row[f"is_office_{app}_active"] == (app in sessions)
        for surface, parts in SURFACES.items():
            if surface == "chat" and name == "acme" and row["activity_date"] == NULL_BLOCK_DAY:
                continue
            assert row[f"is_{surface}_active"] == any(part in sessions for part in parts), surface
            if surface not in ("claude_code", "office"):
                assert row[f"{surface}_message_count"] == messages.get(surface, 0)
        if row["activity_date"] != NULL_BLOCK_DAY or name != "acme":
            assert row["message_count"] == sum(count for part, count in messages.items() if part != "claude_code")


def test_a_null_block_and_a_missing_block_are_no_zero(world: BuiltWorld) -> None:
    nulled = world.query(
        """select count(*), count(chat_message_count), count(is_chat_active), count(message_count), count(cowork_message_count)
        from marts.user_daily_engagement where organization_id = 'acme' and activity_date = ?""",
        NULL_BLOCK_DAY,
    )
    people = sum(1 for day, _ in truth_users(world) if day == NULL_BLOCK_DAY)
    assert people > 3
    assert nulled == [(people, 0, 0, 0, people)]
    told = """select organization_id, count(claude_tag_active_message_count), count(is_claude_tag_active),
            count(cowork_file_edit_count), count(chat_cowork_unified_chat_message_count), count(*)
        from marts.user_daily_engagement group by organization_id order by organization_id"""
    (_, *acme), (_, *beta) = world.query(told)
    assert acme == [acme[-1], acme[-1], acme[-1], 0, acme[-1]]
    assert beta == [0, 0, 0, 0, beta[-1]]


def test_no_engagement_mart_shows_an_address(world: BuiltWorld) -> None:
    columns = world.query(
        f"""select table_name, column_name from information_schema.columns
        where table_schema = 'marts' and data_type = 'VARCHAR' and table_name in {ENGAGEMENT_MARTS}"""
    )
    assert len(columns) > 40
    for table, column in columns:
        found = world.query(f"select count(*) from marts.{table} where {column} like '%@%.%'")
        assert found == [(0,)], (table, column)


# the organisation


@pytest.mark.parametrize("name", ["acme", "beta"])
def test_adoption_is_the_servers_and_people_are_counted_anew(world: BuiltWorld, name: str) -> None:
    rows = world.dicts("select * from marts.org_daily_adoption where organization_id = ? order by activity_date", name)
    truth = {dt.date.fromisoformat(row["day"]): row for row in world.truth[name]}
    assert [row["activity_date"] for row in rows] == sorted(truth)
    for row in rows:
        told, number = truth[row["activity_date"]], (row["activity_date"] - FIRST).days + 1
        for column in ("assigned_seat_count", "pending_invite_count", "daily_active_user_count"):
            assert row[column] == told[column]
        assert row["weekly_active_user_count"] == told["weekly_active_user_count"]
        assert row["monthly_active_user_count"] == told["monthly_active_user_count"]
        assert row["listed_daily_user_count"] == told["daily_active_user_count"]
        assert row["listed_weekly_user_count"] == (told["weekly_active_user_count"] if number >= 7 else None)
        assert row["listed_monthly_user_count"] == (told["monthly_active_user_count"] if number >= 30 else None)
        assert row["funnel_invited_count"] == told["assigned_seat_count"] + told["pending_invite_count"]
        assert row["is_daily_adoption_rate_confirmed"]
        assert row["is_weekly_adoption_rate_confirmed"]
        assert row["is_monthly_adoption_rate_confirmed"]
        assert row["daily_seat_utilisation"] == pytest.approx(
            told["daily_active_user_count"] / told["assigned_seat_count"]
        )


def test_power_users_are_who_came_on_twelve_of_thirty_days_and_this_week(world: BuiltWorld) -> None:
    days_of = defaultdict(set)
    for day, user_id in truth_users(world):
        days_of[user_id].add(day)
    rows = world.query(
        """select activity_date, funnel_power_user_count from marts.org_daily_adoption
        where organization_id = 'acme' and activity_date >= date '2026-01-30' order by 1"""
    )
    expected = [
        (day, sum(
            1 for active in days_of.values()
            if sum(day - 30 * DAY < one <= day for one in active) >= 12 and any(day - 7 * DAY < one <= day for one in active)
        ))
        for day in (FIRST + n * DAY for n in range(29, 42))
    ]  # fmt: skip
    assert rows == expected
    assert max(count for _, count in rows) > 3


def test_an_empty_sunday_is_a_zero_and_a_held_day(world: BuiltWorld) -> None:
    empty = [dt.date.fromisoformat(row["day"]) for row in world.truth["acme"] if not row["users"]]
    sundays = [day for day in empty if day.weekday() == 6]
    assert sundays
    for day in sundays:
        assert world.query(
            """select daily_active_user_count, listed_daily_user_count, stickiness_rate from marts.org_daily_adoption
            where organization_id = 'acme' and activity_date = ?""",
            day,
        ) == [(0, 0, 0.0)]
        states = world.query(
            "select endpoint, state, row_count from marts.engagement_day_states where organization_id = 'acme' and activity_date = ?",
            day,
        )
        assert ("users", "empty", 0) in states
        assert ("summaries", "complete", 1) in states


def test_late_empty_forbidden_and_complete_are_told_apart(world: BuiltWorld) -> None:
    states: defaultdict[tuple[Any, ...], dict[Any, Any]] = defaultdict(dict)
    for organization, endpoint, day, state in world.query(
        "select organization_id, endpoint, activity_date, state from marts.engagement_day_states"
    ):
        states[organization, endpoint][day] = state
    every_day = [FIRST + n * DAY for n in range((LAST - FIRST).days + 1)]
    assert all(sorted(found) == every_day for found in states.values())
    assert set(states["beta", "connectors"].values()) == {"forbidden"}
    for endpoint in ("summaries", "users", "chat_projects", "skills"):
        late = [day for day, state in states["beta", endpoint].items() if state == "late"]
        assert sorted(late) == [day for day in every_day if day > BETA_LATEST], endpoint
        assert set(states["beta", endpoint].values()) <= {"complete", "empty", "late"}
        assert set(states["acme", endpoint].values()) <= {"complete", "empty"}
    assert set(states["acme", "summaries"].values()) == {"complete"}
    truth = {dt.date.fromisoformat(row["day"]): bool(row["users"]) for row in world.truth["acme"]}
    assert {day: state == "complete" for day, state in states["acme", "users"].items()} == truth
    reasons = dict(
        world.query(
            """select state, min(reason) from marts.engagement_day_states
            where organization_id = 'beta' and state in ('late', 'forbidden') group by state"""
        )
    )
    assert "latest available date is 2026-02-08" in reasons["late"]
    assert "permission" in reasons["forbidden"]


def test_a_refused_endpoint_leaves_the_others_their_days(world: BuiltWorld) -> None:
    counts = world.query(
        """select count(*) from marts.connector_daily_usage where organization_id = 'beta'
        union all select count(*) from marts.skill_daily_usage where organization_id = 'beta'"""
    )
    assert min(counts) == (0,)
    assert max(counts) > (10,)


# the project


def test_the_build_and_its_tests_pass_without_a_warning(world: BuiltWorld) -> None:
    assert "WARN=0 ERROR=0" in world.output


def test_settled_days_are_final_and_younger_ones_may_move(world: BuiltWorld) -> None:
    found = dict(
        world.query(
            """select activity_date, any_value(finality) from marts.user_daily_engagement
            where organization_id = 'acme' group by activity_date"""
        )
    )
    assert found[dt.date(2026, 2, 2)] == "final", "pulled once more after it settled"
    assert {finality for day, finality in found.items() if day > LAST - 3 * DAY} == {"provisional"}
