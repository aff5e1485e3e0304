"""The demo's story: whatever the time of day, there is something to find, and it stays the same from start to start."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from onelens_claude.cli import demo_story
from onelens_claude.fake_api import create_app
from onelens_claude.fake_api.spec import demo_organizations
from onelens_claude.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

    from onelens_claude.fake_api.organization import Organization

NOON = dt.datetime(2026, 11, 26, 12, tzinfo=dt.UTC)


def organizations() -> dict[str, Organization]:
    """Return the demo's organisations as a new start of its server has them."""
    served = [one.organization for one in create_app(demo_organizations(2, users=30)).state.api.tenants]
    return dict(zip(("acme", "globex"), served, strict=True))


def spent(organization: Organization, start: dt.datetime, now: dt.datetime, user_id: str | None = None) -> float:
    """Return the dollars since a moment, in all or of one person, as far as the data reach."""
    priced = organization.window(start, now, organization.snapshot(now))
    wanted = {one.index for one in organization.people if one.user_id == user_id} if user_id else None
    amounts = priced.amounts if wanted is None else priced.amounts[np.isin(priced.events.person, list(wanted))]
    return float(amounts.sum()) / 1e14


@pytest.mark.parametrize(("hour", "minute"), [(0, 30), (3, 59), (4, 20), (5, 0), (12, 0), (23, 59)])
def test_at_every_hour_somebodys_agent_has_run_away_by_now(tmp_path: Path, hour: int, minute: int) -> None:
    served, now = organizations(), NOON.replace(hour=hour, minute=minute)
    *climb, runaway = demo_story.tell(tmp_path / "story.json", served, now).revisions["acme"]
    began_at = dt.datetime.combine(runaway.day, dt.time(runaway.from_hour), dt.UTC)
    assert spent(served["acme"], began_at, now, runaway.user_id) > 200
    assert {one.user_id for one in climb} != {runaway.user_id}
    assert [one.percent for one in climb] == sorted(one.percent for one in climb)
    assert climb[-1].percent == 1100


def test_there_is_a_budget_in_each_state(tmp_path: Path) -> None:
    served = organizations()
    story = demo_story.tell(tmp_path / "story.json", served, NOON)
    shares = {}
    for one in story.budgets:
        whole = spent(served[one["organization"]], NOON.replace(day=1, hour=0), NOON.replace(hour=4))
        shares[one["id"]] = whole / float(one["limit_usd"])
    assert 0.5 < shares["acme-month"] < 0.6
    assert 0.85 < shares["globex-month"] < 0.95
    by_id = {one["id"]: one for one in story.budgets}
    assert (by_id["acme-claude-code"]["value"], by_id["acme-cowork"]["forecast"]) == ("claude_code", True)


def test_the_same_days_cost_the_same_at_the_next_start_and_after_a_month_another_story_begins(tmp_path: Path) -> None:
    path, first, second = tmp_path / "story.json", organizations(), organizations()
    story = demo_story.tell(path, first, NOON)
    tomorrow = NOON + dt.timedelta(days=1)
    assert demo_story.tell(path, second, tomorrow) == story
    since = NOON - dt.timedelta(days=40)
    assert spent(first["acme"], since, tomorrow) == spent(second["acme"], since, tomorrow) > 0
    later = demo_story.tell(path, organizations(), NOON + dt.timedelta(days=31))
    assert later.began_at == NOON + dt.timedelta(days=31)
    assert demo_story.tell(path, organizations(), NOON + dt.timedelta(days=32)) == later


def test_the_teams_have_a_pattern_a_split_and_a_move(tmp_path: Path) -> None:
    served = organizations()
    rows = demo_story.tell(tmp_path / "story.json", served, NOON).teams
    assert rows == demo_story.tell(tmp_path / "story.json", served, NOON).teams
    (tmp_path / "onelens.yaml").write_text(
        json.dumps({"organizations": [{"id": "acme", "api_key_command": "true"}], "teams": rows})
    )
    team_map = load_settings(tmp_path / "onelens.yaml", needs_keys=False).team_map
    assert sum(row.is_pattern for row in team_map) == 2
    assert sorted(row.percent for row in team_map) == [40, 60, 100, 100, 100, 100]
    assert {row.valid_from for row in team_map} >= {dt.date(2026, 11, 16)}
