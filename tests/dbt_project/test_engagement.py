"""The engagement marts against the local server's own truth: two fetches of six weeks, a build after each.

What belongs here: real pages, landed by the real code, built by the real dbt, compared with what the server says
people did. What does not: single rules with named rows (the unit tests beside the models).
"""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from collections import Counter, defaultdict
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
import requests
import yaml

from onelens_claude.api.endpoints import ENDPOINTS
from onelens_claude.fake_api import Fault, OrganizationSpec, create_app, running_server
from onelens_claude.fake_api.spec import DEFAULT_FEATURES
from onelens_claude.orchestration.resources import Onelens
from onelens_claude.settings import load_settings
from onelens_claude.warehouse.settings_tables import store_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.dbt_project.conftest import Dbt

FIRST, MIDDLE, LAST = dt.date(2026, 1, 1), dt.date(2026, 2, 3), dt.date(2026, 2, 11)
THEN, NOW = dt.datetime(2026, 2, 4, 12, tzinfo=dt.UTC), dt.datetime(2026, 2, 12, 12, tzinfo=dt.UTC)
"""A project is renamed and an account deleted between the two fetches."""
NULL_BLOCK_DAY = dt.date(2026, 1, 20)
BETA_LATEST = dt.date(2026, 2, 8)
JANUARY = dt.date(2026, 1, 1)
LANDED = (
    "summaries",
    "users",
    "chat_projects",
    "skills",
    "connectors",
    "plugins",
    "artifacts",
    "user_cost_report",
    "cost_report",
)
SURFACES = {
    "chat": ("chat",),
    "claude_code": ("claude_code",),
    "cowork": ("cowork",),
    "office": ("excel", "outlook", "powerpoint", "word"),
    "design": ("design",),
    "science": ("science",),
}
MESSAGE_PRODUCTS = {"chat": "chat", "cowork": "cowork", "office": "office_agent", "design": "claude_design"}
ENGAGEMENT_MARTS = (
    "user_daily_engagement",
    "org_daily_adoption",
    "project_daily_adoption",
    "skill_daily_usage",
    "connector_daily_usage",
    "plugin_daily_usage",
    "artifact_daily_creation",
    "tool_daily_acceptance",
    "user_monthly_adoption",
    "idle_seats",
    "idle_users",
    "org_monthly_unit_economics",
    "user_monthly_unit_economics",
    "engagement_day_states",
)
WHAT_TO_BUILD = (
    "--indirect-selection=cautious",
    "--exclude=test_type:unit",
    "--select",
    *(f"+{mart}" for mart in ENGAGEMENT_MARTS),
)
"""These marts, all they are made of, and the tests of nothing else."""


class World:
    """The built warehouse and what the server says is true."""

    def __init__(self, path: Any, base_url: str, output: str) -> None:
        self.path = path
        self.output = output
        self.truth = {name: self._read(base_url, name, "engagement") for name in ("acme", "beta")}
        self.days = self._read(base_url, "acme", "days")
        self.costs = self._read(base_url, "acme", "costs", by="day,user_id,product")

    @staticmethod
    def _read(base_url: str, name: str, topic: str, **parameters: str) -> list[dict[str, Any]]:
        answer = requests.get(
            f"{base_url}/truth/{topic}",
            params={"from": str(FIRST), "to": str(LAST), **parameters},
            headers={"x-api-key": f"key-{name}"},
            timeout=60,
        )
        return answer.json()["rows"]

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.path), read_only=True) as connection:
            return connection.execute(sql, list(parameters)).fetchall()

    def dicts(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        with duckdb.connect(str(self.path), read_only=True) as connection:
            cursor = connection.execute(sql, list(parameters))
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.fixture(scope="module")
def world(dbt: Dbt, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("engagement")
    clock = [THEN]
    specs = [
        OrganizationSpec(api_key="key-acme", seed=3, users=20),
        OrganizationSpec(
            api_key="key-beta",
            seed=2,
            users=8,
            plan="seat",
            name="Beta",
            engagement_lag_days=4,
            features=DEFAULT_FEATURES - {"claude_tag", "file_edit_metrics"},
        ),
    ]
    app = create_app(specs, now=lambda: clock[0], requests_per_minute=None)
    with running_server(app) as server, pytest.MonkeyPatch.context() as patch:
        server.api.faults.add(Fault("forbidden", endpoint="connectors", organization="Beta", times=None))
        server.api.faults.add(
            Fault("null_block", endpoint="users", organization="Acme Corp", day=NULL_BLOCK_DAY, value="chat_metrics")
        )
        patch.setenv("TMPDIR", str(folder))
        patch.setattr(tempfile, "tempdir", None)
        for name in ("acme", "beta"):
            (folder / f"{name}.key").write_text(f"key-{name}")
        config = {
            "warehouse": {"path": str(folder / "o.duckdb"), "serving_path": str(folder / "s.duckdb")},
            "organizations": [
                {"id": name, "api_key_file": str(folder / f"{name}.key"), "base_url": server.base_url, "plan": plan}
                for name, plan in (("acme", "usage"), ("beta", "seat"))
            ],
            "polling": {"requests_per_minute": 100_000, "attempts": 1},
        }
        (folder / "onelens.yaml").write_text(yaml.safe_dump(config))
        onelens = Onelens(load_settings(folder / "onelens.yaml"))
        with onelens.warehouse().writer() as connection:
            store_settings(connection, onelens.settings())
        output = ""
        for moment, days in (
            (THEN, {"acme": (FIRST, MIDDLE), "beta": (FIRST, MIDDLE)}),
            # the second time only what is new, and the days that had not settled
            (NOW, {"acme": (MIDDLE - 3 * DAY, LAST), "beta": (MIDDLE - 3 * DAY, LAST)}),
        ):
            clock[0] = moment
            patch.setenv("ONELENS_NOW", moment.isoformat())
            wanted = {name: [a + n * DAY for n in range((b - a).days + 1)] for name, (a, b) in days.items()}
            for endpoint in LANDED:
                onelens.landing(endpoint).land(ENDPOINTS[endpoint], wanted, run_id=f"run at {moment}")
            output = dbt(folder / "o.duckdb", "run" if moment is THEN else "build", *WHAT_TO_BUILD)
        yield World(folder / "o.duckdb", server.base_url, output)


DAY = dt.timedelta(days=1)


def truth_users(world: World, name: str = "acme") -> dict[tuple[dt.date, str], dict[str, Any]]:
    return {
        (dt.date.fromisoformat(row["day"]), user_id): told
        for row in world.truth[name]
        for user_id, told in row["users"].items()
    }


# who did what


@pytest.mark.parametrize("name", ["acme", "beta"])
def test_every_active_user_has_a_row_with_the_servers_counts(world: World, name: str) -> None:
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


def test_a_null_block_and_a_missing_block_are_no_zero(world: World) -> None:
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


def test_no_engagement_mart_shows_an_address(world: World) -> None:
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
def test_adoption_is_the_servers_and_people_are_counted_anew(world: World, name: str) -> None:
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


def test_power_users_are_who_came_on_twelve_of_thirty_days_and_this_week(world: World) -> None:
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


def test_an_empty_sunday_is_a_zero_and_a_held_day(world: World) -> None:
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


def test_late_empty_forbidden_and_complete_are_told_apart(world: World) -> None:
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


def test_a_refused_endpoint_leaves_the_others_their_days(world: World) -> None:
    counts = world.query(
        """select count(*) from marts.connector_daily_usage where organization_id = 'beta'
        union all select count(*) from marts.skill_daily_usage where organization_id = 'beta'"""
    )
    assert min(counts) == (0,)
    assert max(counts) > (10,)


# projects, skills, connectors, tools


def test_projects_are_the_servers_under_their_newest_name(world: World) -> None:
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


def test_a_creator_whose_account_went_is_deleted_and_stays_known_by_id(world: World) -> None:
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


def test_skills_and_connectors_are_the_servers(world: World) -> None:
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


def test_plugins_are_the_servers_and_artifacts_what_its_pages_say(world: World) -> None:
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


def test_skill_money_is_an_exact_estimate_outside_every_cost(world: World) -> None:
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


def test_acceptance_adds_up_the_users_counts(world: World) -> None:
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


# months


def test_a_whole_month_tells_segments_and_a_running_one_does_not(world: World) -> None:
    active: Counter[tuple[str, dt.date]] = Counter()
    for day, user_id in truth_users(world):
        active[user_id, day.replace(day=1)] += 1
    rows = world.query(
        "select user_id, month, active_day_count, segment, is_complete from marts.user_monthly_adoption where organization_id = 'acme'"
    )
    assert {(user_id, month): count for user_id, month, count, *_ in rows if count} == dict(active)
    for _, month, count, segment, is_complete in rows:
        assert is_complete == (month == JANUARY)
        # the history begins in January: nobody can be known as new
        expected = "power" if count >= 12 else "regular"
        assert segment == (expected if is_complete else None)
    assert {segment for *_, segment, _ in rows} == {"power", "regular", None}


def test_idle_seats_and_users_follow_from_the_last_activity(world: World) -> None:
    last = {user_id: day for day, user_id in sorted(truth_users(world))}
    gone = {
        user_id
        for (user_id,) in world.query(
            "select user_id from marts.dim_claude_users where is_deleted and organization_id = 'acme'"
        )
    }
    assert gone & set(last)
    users = world.query(
        "select user_id, last_known_activity_date, idle_day_count, is_idle_30_days, is_idle_60_days from marts.idle_users where organization_id = 'acme'"
    )
    assert {user_id: day for user_id, day, *_ in users} == {one: day for one, day in last.items() if one not in gone}
    for _, day, idle, is_idle, is_long_idle in users:
        assert idle == (LAST - day).days
        assert is_idle == (idle >= 30)
        assert is_long_idle is False, "42 days of history hold no 60 idle ones, but every activity in them is known"
    seats = world.truth["acme"][-1]["assigned_seat_count"]
    active = sum(1 for one, day in last.items() if one not in gone and day > LAST - 30 * DAY)
    assert world.query(
        """select idle_after_day_count, assigned_seat_count, active_user_count, idle_seat_count, known_idle_user_count
        from marts.idle_seats where organization_id = 'acme' order by 1"""
    ) == [
        (30, seats, active, max(seats - active, 0), len(users) - active),
        (60, seats, None, None, None),
        (90, seats, None, None, None),
    ]


def per_unit(cents: Decimal, units: int, multiplier: int = 1) -> Decimal | None:
    """Divide as the marts promise: half away from zero at the 12th digit of a cent, then to dollars."""
    if not units:
        return None
    with localcontext(Context(prec=60)):
        return (cents * multiplier / units).quantize(Decimal(1).scaleb(-12), ROUND_HALF_UP).scaleb(-2)


def test_unit_economics_are_the_servers_cost_over_the_servers_counts(world: World) -> None:
    row = world.dicts(
        "select * from marts.org_monthly_unit_economics where organization_id = 'acme' and month = ?", JANUARY
    )[0]
    users = {key: told for key, told in truth_users(world).items() if key[0].month == 1}
    with localcontext(Context(prec=60)):
        total = sum((Decimal(one["amount"]) for one in world.days if one["day"] < "2026-02"), Decimal(0))
        costs: dict[str, Decimal] = defaultdict(Decimal)
        chat_where_told = Decimal(0)
        for one in world.costs:
            day = dt.date.fromisoformat(one["day"])
            if (day, one["user_id"]) not in users:
                continue
            costs["all"] += Decimal(one["amount"])
            costs[str(one["product"])] += Decimal(one["amount"])
            if one["product"] == "chat" and day != NULL_BLOCK_DAY:
                chat_where_told += Decimal(one["amount"])
    people = len({user_id for _, user_id in users})
    counts = {
        "session": sum(told["session_count"].get("claude_code", 0) for told in users.values()),
        "commit": sum(told["commit_count"] for told in users.values()),
        "pull_request": sum(told["pull_request_count"] for told in users.values()),
        "100_accepted_lines": sum(told["lines_added"] for told in users.values()),
    }
    assert row["covered_day_count"] == 31
    assert row["is_complete"]
    assert row["total_cost_usd"] == total.scaleb(-2, Context(prec=60))
    assert row["active_user_cost_usd"] == costs["all"].scaleb(-2, Context(prec=60))
    assert row["active_user_count"] == people
    assert row["direct_cost_per_active_user_usd"] == per_unit(costs["all"], people)
    assert row["allocated_cost_per_active_user_usd"] == per_unit(total, people)
    for unit, count in counts.items():
        multiplier = 100 if unit.startswith("100") else 1
        prefix = "claude_code_" if unit == "session" else ""
        assert row[f"direct_claude_code_cost_per_{unit}_usd"] == per_unit(costs["claude_code"], count, multiplier), unit
        assert row[f"allocated_cost_per_{prefix}{unit}_usd"] == per_unit(total, count, multiplier), unit
    # the day whose chat messages are not told is in neither side of the direct price, and leaves the allocated one open
    chat = sum(told["message_count"].get("chat", 0) for (day, _), told in users.items() if day != NULL_BLOCK_DAY)
    assert row["direct_chat_cost_per_message_usd"] == per_unit(chat_where_told, chat)
    assert row["message_count"] is None
    assert row["allocated_cost_per_message_usd"] is None
    cowork = sum(told["message_count"].get("cowork", 0) for told in users.values())
    assert row["direct_cowork_cost_per_message_usd"] == per_unit(costs["cowork"], cowork)


def test_a_month_with_late_days_tells_no_people_and_only_its_covered_days(world: World) -> None:
    rows = world.dicts("select * from marts.org_monthly_unit_economics where month > ?", JANUARY)
    by_name = {row["organization_id"]: row for row in rows}
    assert by_name["beta"]["last_covered_date"] == BETA_LATEST
    for row in rows:
        assert row["active_user_count"] is None
        assert row["direct_cost_per_active_user_usd"] is None
        assert row["known_active_user_count"] > 0
        assert row["finality"] == "incomplete"
    events = world.query(
        """select sum(claude_code_commit_count) from marts.user_daily_engagement
        where organization_id = 'beta' and activity_date between date '2026-02-01' and ?""",
        by_name["beta"]["last_covered_date"],
    )
    assert events == [(by_name["beta"]["commit_count"],)]


def test_users_months_add_up_to_the_organisations(world: World) -> None:
    assert world.query(
        """with users as (
            select organization_id, month, sum(active_user_cost_usd) as cost, sum(commit_count) as commits
            from marts.user_monthly_unit_economics group by all
        )
        select count(*), count(*) filter (cost <> active_user_cost_usd or commits <> commit_count)
        from marts.org_monthly_unit_economics join users using (organization_id, month)"""
    ) == [(4, 0)]


# the project


def test_the_build_and_its_tests_pass_without_a_warning(world: World) -> None:
    assert "WARN=0 ERROR=0" in world.output


def test_settled_days_are_final_and_younger_ones_may_move(world: World) -> None:
    found = dict(
        world.query(
            """select activity_date, any_value(finality) from marts.user_daily_engagement
            where organization_id = 'acme' group by activity_date"""
        )
    )
    assert found[dt.date(2026, 2, 2)] == "final", "pulled once more after it settled"
    assert {finality for day, finality in found.items() if day > LAST - 3 * DAY} == {"provisional"}
