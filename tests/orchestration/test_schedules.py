"""Which days `daily_schedule` asks for, at which moment, from what the serving copy holds."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from dagster import build_schedule_context

from onelens_claude.orchestration.partitions import PARTITION_END_TAG, PARTITION_START_TAG
from onelens_claude.orchestration.resources import Onelens
from onelens_claude.orchestration.schedules import daily_schedule

if TYPE_CHECKING:
    from collections.abc import Callable

AT = dt.datetime(2026, 11, 20, 10, 30, tzinfo=dt.UTC)


@pytest.fixture
def tick() -> Callable[..., Any]:
    """Evaluate the schedule with what the settings file says."""

    def evaluate(onelens: Onelens) -> Any:
        context = build_schedule_context(scheduled_execution_time=AT, resources={"onelens": onelens})
        return daily_schedule(context)

    return evaluate


def span(request: dg.RunRequest) -> tuple[str, str]:
    return request.tags[PARTITION_START_TAG], request.tags[PARTITION_END_TAG]


def test_with_nothing_published_yet_the_newest_days_are_asked_for(make_world, tick):
    here = make_world()
    request = tick(here.onelens)
    assert span(request) == ("2026-11-19", "2026-11-19")
    assert request.run_key == "daily-2026-11-20T10:30"


def test_before_engagement_is_aggregated_its_newest_day_is_the_one_before(make_world, tick, set_now):
    here = make_world()
    set_now("2026-11-20T09:59:59Z")
    assert span(tick(here.onelens)) == ("2026-11-18", "2026-11-19")
    set_now("2026-11-20T10:00:00Z")
    assert span(tick(here.onelens)) == ("2026-11-19", "2026-11-19")


def test_gaps_and_days_that_settle_widen_the_range_back_to_the_oldest(make_world, tick, set_now):
    here = make_world()
    for endpoint in here.settings.endpoints():
        here.land(endpoint, "2026-11-10", "2026-11-19")
    here.onelens.warehouse().publish()
    assert span(tick(here.onelens)) == ("2026-11-19", "2026-11-19")
    set_now("2026-11-21T10:30:00Z")
    assert span(tick(here.onelens)) == ("2026-11-16", "2026-11-20")  # engagement of the 16th settles on the 21st


def test_a_day_missing_in_between_is_where_the_range_begins(make_world, tick):
    here = make_world()
    for endpoint in here.settings.endpoints():
        here.land(endpoint, "2026-11-10", "2026-11-12")
        here.land(endpoint, "2026-11-14", "2026-11-19")
    here.onelens.warehouse().publish()
    assert span(tick(here.onelens)) == ("2026-11-13", "2026-11-19")


def test_one_organisations_gap_is_enough(make_world, tick):
    from tests.organizations import organization

    here = make_world({"acme": organization(), "beta": organization("beta", seed=2)})
    for endpoint in here.settings.endpoints():
        here.land(endpoint, "2026-11-15", "2026-11-19")
        here.land(endpoint, "2026-11-15", "2026-11-17", ("beta",))
    here.onelens.warehouse().publish()
    assert span(tick(here.onelens)) == ("2026-11-18", "2026-11-19")


def test_without_settings_the_tick_is_skipped_with_the_reason(monkeypatch, tmp_path, tick):
    monkeypatch.setenv("ONELENS_CONFIG", str(tmp_path / "onelens.yaml"))
    skipped = tick(Onelens())
    assert isinstance(skipped, dg.SkipReason)
    assert "There is no settings file" in skipped.skip_message


def test_the_range_is_partitions_of_the_job(make_world, tick):
    from onelens_claude.definitions import defs

    request = tick(make_world().onelens)
    keys = defs.resolve_job_def("daily_job").partitions_def.get_partition_keys(
        current_time=dt.datetime(2026, 11, 21, tzinfo=dt.UTC)
    )
    assert set(span(request)) <= set(keys)
