"""The engagement marts against the local server's own truth: projects, skills, connectors, plugins, artifacts and tools.

What belongs here: what people used, from real pages, landed by the real code, built by the real dbt. What does not: who they were (`test_engagement.py`), months (`test_engagement_months.py`)
and single rules with named rows (the unit tests beside the models).
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.dbt_project.engagement_world import BuiltWorld


def test_projects_are_the_servers_under_their_newest_name(world: BuiltWorld) -> None:
    rows = world.dicts("select * from marts.project_daily_adoption where organization_id = 'acme'")
    found = {
        (str(row["activity_date"]), row["project_id"]): (
            row["distinct_user_count"], row["distinct_conversation_count"], row["message_count"], row["latest_project_name"],
        )
        for row in rows
    }  # fmt: skip
    names = {id_: told["name"] for row in world.truth["acme"] for id_, told in row["projects"].items()}
    truth = {
        (row["day"], id_): (told["users"], told["conversations"], told["messages"], names[id_])
        for row in world.truth["acme"]
        for id_, told in row["projects"].items()
    }
    assert found == truth
    names_of = defaultdict(set)
    for row in rows:
        names_of[row["latest_project_name"]].add(row["project_name"])
    renamed = {latest: old for latest, old in names_of.items() if len(old) > 1}
    assert [(latest, sorted(old)) for latest, old in renamed.items()] == [
        (latest, [latest.removesuffix(" (renamed)"), latest]) for latest in renamed
    ]
    assert len(renamed) == 1


def test_a_creator_whose_account_went_is_deleted_and_stays_known_by_id(world: BuiltWorld) -> None:
    creators = world.query(
        """select distinct project_id, created_by_user_id, is_creator_deleted from marts.project_daily_adoption
        where organization_id = 'acme'"""
    )
    deleted = [user_id for _, user_id, gone in creators if gone]
    assert len(deleted) == 1
    assert deleted[0] is not None
    told = world.query(
        """select count(created_by.id), count(*) filter (created_by is null) from claude_raw.chat_projects_rows
        where project_id = (select any_value(project_id) from marts.project_daily_adoption where is_creator_deleted)"""
    )
    assert min(told[0]) > 0, "the answers must tell the creator first and then no more"
    email = world.query("select email from marts.dim_claude_users where user_id = ?", deleted[0])
    assert email in ([], [(None,)])


def test_skills_and_connectors_are_the_servers(world: BuiltWorld) -> None:
    skills = world.query(
        """select cast(activity_date as varchar), skill_name, distinct_user_count, invocation_count
        from marts.skill_daily_usage where organization_id = 'acme'"""
    )
    assert {(day, name): rest for day, name, *rest in skills} == {
        (row["day"], name): [told["users"], told["invocations"]]
        for row in world.truth["acme"]
        for name, told in row["skills"].items()
    }
    connectors = world.query(
        """select cast(activity_date as varchar), connector_name, distinct_user_count, call_count
        from marts.connector_daily_usage where organization_id = 'acme'"""
    )
    expected = {
        (row["day"], name): [told["users"], told["calls"]]
        for row in world.truth["acme"]
        for name, told in row["connectors"].items()
    }
    assert {(day, name): rest for day, name, *rest in connectors} == expected


def test_plugins_are_the_servers_and_artifacts_what_its_pages_say(world: BuiltWorld) -> None:
    plugins = world.query(
        """select cast(activity_date as varchar), plugin_name, distinct_user_count, invocation_count
        from marts.plugin_daily_usage where organization_id = 'acme'"""
    )
    assert plugins
    assert {(day, name): rest for day, name, *rest in plugins} == {
        (row["day"], name): [told["users"], told["invocations"]]
        for row in world.truth["acme"]
        for name, told in row["plugins"].items()
    }
    # the server has no truth of artifacts: what the newest pages say, read without our parsing
    pages = world.query(
        """select pulls.window_start, payload
        from claude_raw.pulls join claude_raw.artifacts using (pull_id)
        where pulls.organization_id = 'acme'
        qualify row_number() over (partition by window_start order by pulls.fetched_at desc, pull_sequence desc) = 1"""
    )
    said = {
        (day, one["artifact_type"], one["is_shared"]): one["artifacts_created_count"]
        for day, payload in pages
        for one in json.loads(payload)["data"]
    }
    assert said
    built = world.query(
        """select activity_date, artifact_type, is_shared, artifacts_created_count
        from marts.artifact_daily_creation where organization_id = 'acme'"""
    )
    assert {(day, kind, shared): count for day, kind, shared, count in built} == said


def test_skill_money_is_an_exact_estimate_outside_every_cost(world: BuiltWorld) -> None:
    wrong = world.query(
        """select count(*) filter (attributed_list_price_usd <> attributed_list_price_cents * 0.01),
            count(attributed_list_price_cents), count(*) filter (attributed_list_price_cents is null)
        from marts.skill_daily_usage"""
    )[0]
    assert wrong[0] == 0
    assert min(wrong[1:]) > 0
    names = world.query(
        """select table_name, column_name from information_schema.columns
        where table_schema = 'marts' and regexp_matches(column_name, 'attributed|estimated') and column_name <> 'unattributed_cents'
            and not contains(column_name, 'unattributed')"""
    )
    assert {table for table, _ in names} == {"skill_daily_usage"}


def test_acceptance_adds_up_the_users_counts(world: BuiltWorld) -> None:
    assert world.query(
        """with users as (
            select organization_id, activity_date, sum(claude_code_edit_tool_accepted_count) as accepted,
                sum(claude_code_edit_tool_rejected_count) as rejected
            from marts.user_daily_engagement group by all
        )
        select count(*), count(*) filter (accepted <> accepted_count or rejected <> rejected_count
            or proposed_count <> accepted + rejected
            or acceptance_rate is distinct from case when proposed_count > 0 then accepted::double / proposed_count end)
        from marts.tool_daily_acceptance join users using (organization_id, activity_date)
        where tool = 'edit_tool'"""
    )[0][1] == 0  # fmt: skip
