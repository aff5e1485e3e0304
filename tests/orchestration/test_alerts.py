"""Alerts in Dagster: the step that never keeps data back, the two sensors, and the checks of what people spend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from onelens_claude.alerts.delivery import evaluate
from onelens_claude.orchestration.assets.alerts import ALERTS_KEY, build_alerts
from onelens_claude.orchestration.checks import build_checks
from onelens_claude.orchestration.resources import Onelens
from onelens_claude.orchestration.sensors import alerts_sensor, run_failure_sensor
from tests.alerts.conftest import HOOK, fact
from tests.alerts.receivers import HttpReceiver, http_receiver
from tests.alerts.test_facts import ANOMALY, CROSSING, STANDING, Marts
from tests.organizations import NOW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from onelens_claude.settings import Settings


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpReceiver]:
    with http_receiver() as here:
        monkeypatch.setenv("HOOK_URL", here.address)
        monkeypatch.setenv("HOOK_SECRET", "word")
        yield here


@pytest.fixture
def settings(
    write_settings: Callable[..., Settings], set_now: Callable[[str], None], receiver: HttpReceiver
) -> Settings:
    set_now(NOW)
    return write_settings({"acme": ("sk-ant-acme", "http://127.0.0.1:9")}, alerts=[HOOK])


@pytest.fixture
def marts(settings: Settings) -> Marts:
    return Marts(settings)


@dg.asset_check(asset=dg.AssetKey("data"), name="rows_are_there")
def failing_check() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, description="none")


@dg.asset
def data() -> None:
    pass


@dg.asset(deps=[ALERTS_KEY])
def published() -> None:
    pass


def run(settings: Settings) -> dg.ExecuteInProcessResult:
    """Execute the step with a check before it and a publication after it."""
    defs = dg.Definitions(
        [data, build_alerts([data.key]), published],
        asset_checks=[failing_check],
        resources={"onelens": Onelens(settings)},
    )
    job = defs.resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        return job.execute_in_process(instance=instance)


def told(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (event,) = (one for one in result.get_asset_materialization_events() if one.asset_key == ALERTS_KEY)
    return {name: value.value for name, value in event.materialization.metadata.items()}


def test_a_run_tells_of_the_marts_and_of_its_checks_and_shows_what_it_told(marts, receiver):
    marts.add("budget_status", STANDING).add("budget_crossings", CROSSING)
    for expected in ("hook: 2", ""):
        result = run(marts.settings)
        assert result.success
        assert told(result)["sent"] == expected
    (posted,) = receiver.posted
    assert {one["event"] for one in posted.json["alerts"]} == {"budget", "data_quality"}
    shown = marts.answers("select event, status, count(*) from claude_raw.alert_log group by all order by all")
    assert shown == [("budget", "sent", 2), ("data_quality", "sent", 1)]


def test_neither_a_dead_channel_nor_a_damaged_log_nor_a_mistake_of_ours_keeps_data_back(marts, receiver):
    marts.add("budget_status", STANDING)
    receiver.otherwise = 410
    result = run(marts.settings)
    assert result.success
    assert "alerts.hook: answered 410" in told(result)["problems"]
    marts.settings.alerts_path.write_text("this is no database")
    result = run(marts.settings)
    assert result.success
    assert "the alert log cannot be used" in told(result)["problems"]


def tick(settings: Settings, instance: dg.DagsterInstance) -> str:
    context = dg.build_sensor_context(instance=instance, resources={"onelens": Onelens(settings)})
    return alerts_sensor.evaluate_tick(context).skip_message or ""


def test_the_sensor_tells_what_no_run_told_and_reads_the_marts_only_while_no_run_changes_them(marts, receiver):
    marts.add("budget_status", STANDING)
    with dg.DagsterInstance.ephemeral() as instance:
        run_id = instance.create_run_for_job(data_job).run_id
        assert tick(marts.settings, instance) == "Alerts: 0 new"
        instance.report_run_canceled(instance.get_run_by_id(run_id))
        assert tick(marts.settings, instance) == "Alerts: 1 new; 1 sent to hook"
        assert tick(marts.settings, instance) == "Alerts: 0 new"
    assert len(receiver.posted) == 1


@dg.op
def fails() -> None:
    raise dg.Failure("the disk is full")


@dg.job
def data_job() -> None:
    fails()


def test_a_channel_that_was_down_is_told_by_the_sensor_when_it_is_back(settings, receiver, set_now):
    receiver.otherwise = 404
    evaluate(settings, [fact()])
    receiver.otherwise = 200
    with dg.DagsterInstance.ephemeral() as instance:
        assert tick(settings, instance) == "Alerts: 0 new"
        set_now("2026-11-20T12:02:00Z")
        assert tick(settings, instance) == "Alerts: 0 new; 1 sent to hook"


def test_without_a_channel_or_settings_the_sensor_says_so(settings, write_settings, monkeypatch):
    with dg.DagsterInstance.ephemeral() as instance:
        bare = write_settings({"acme": ("sk-ant-acme", "http://127.0.0.1:9")})
        assert tick(bare, instance) == "The settings name no channel (alerts)."
        monkeypatch.setenv("ONELENS_CONFIG", "/nowhere/onelens.yaml")
        context = dg.build_sensor_context(instance=instance, resources={"onelens": Onelens()})
        assert "no settings file" in alerts_sensor.evaluate_tick(context).skip_message


def test_a_failed_run_is_told_once_with_what_its_step_said(settings, receiver):
    with dg.DagsterInstance.ephemeral() as instance:
        result = data_job.execute_in_process(instance=instance, raise_on_error=False)
        (failure,) = (one for one in result.all_events if one.event_type is dg.DagsterEventType.RUN_FAILURE)
        context = dg.build_run_status_sensor_context(
            sensor_name="run_failure_sensor",
            dagster_event=failure,
            dagster_instance=instance,
            dagster_run=instance.get_run_by_id(result.run_id),
            resources={"onelens": Onelens(settings)},
        ).for_run_failure()
        for _ in range(2):
            run_failure_sensor(context)
    (alert,) = receiver.alerts
    assert (alert["event"], alert["organization_id"]) == ("run_failure", "*")
    assert alert["title"] == f"Run {result.run_id[:8]} of data_job failed"
    assert "fails: the disk is full" in alert["text"]


@pytest.mark.parametrize(
    ("status", "severity"), [("ok", None), ("warning", "WARN"), ("exceeded", "ERROR"), ("forecast_exceeded", "WARN")]
)
def test_a_budget_is_a_check_that_warns_and_then_fails_and_never_blocks(marts, status, severity):
    older = STANDING | {"period_start": "2026-10-01", "status": "exceeded"}
    marts.add("budget_status", STANDING | {"status": status}, older)
    (check,) = (one for one in build_checks() if {key.name for key in one.check_keys} == {"budgets_are_kept"})
    result = check(Onelens(marts.settings))
    assert isinstance(result, dg.AssetCheckResult)
    assert result.passed is (severity is None)
    assert severity is None or result.severity.value == severity
    assert not any(spec.blocking for spec in check.check_specs)
    assert severity is None or "user_1" in str(result.metadata["first"])


@pytest.mark.parametrize(("kind", "severity"), [("spike", "WARN"), ("runaway", "ERROR")])
def test_an_open_incident_is_a_check_that_does_not_pass(marts, kind, severity):
    marts.add("cost_anomalies", ANOMALY | {"kind": kind}, ANOMALY | {"incident_id": "old", "status": "resolved"})
    (check,) = (one for one in build_checks() if {key.name for key in one.check_keys} == {"no_incident_is_open"})
    result = check(Onelens(marts.settings))
    assert isinstance(result, dg.AssetCheckResult)
    assert (result.passed, result.severity.value, result.metadata["rows"].value) == (False, severity, 1)
