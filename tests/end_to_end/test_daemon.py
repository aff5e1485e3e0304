"""What `onelens-claude dev` starts, as a browser sees it: assets, a range launched from the UI, checks, no secret."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
import yaml

from onelens_claude.alerts.log import AlertLog
from onelens_claude.api.endpoints import Family, endpoints_of
from onelens_claude.fake_api import Revision
from onelens_claude.orchestration.partitions import PARTITION_END_TAG, PARTITION_START_TAG
from onelens_claude.orchestration.resources import Onelens
from onelens_claude.paths import PROJECT_ROOT
from onelens_claude.settings import load_settings
from tests.alerts.conftest import fact
from tests.alerts.receivers import HttpReceiver, http_receiver
from tests.organizations import organization
from tests.worlds import process_environment, processes_of, scratch_folder, serving_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.worlds import World

pytestmark = pytest.mark.daemon
SECRET = "sk-ant-api01-do-not-show"
REPOSITORY = {"repositoryName": "__repository__", "repositoryLocationName": "onelens_claude.definitions:defs"}


class Browser:
    """Asks GraphQL and remembers every answer."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self.seen: list[str] = []

    def ask(self, query: str, **variables: Any) -> Any:
        body = {"query": query, "variables": variables}
        answer = requests.post(f"{self.address}/graphql", json=body, timeout=60)
        self.seen.append(answer.text)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert "errors" not in found, found["errors"]
        return found["data"]


def wait_for(what: Callable[[], Any], seconds: float) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if found := what():
                return found
        except requests.ConnectionError:
            pass
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.3)


@pytest.fixture
def world() -> Iterator[World]:
    specs = {"acme": organization(SECRET, users=6)}
    # the real clock: Dagster's own partitions and its daemon know no other
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    with scratch_folder() as folder, serving_world(folder, now.isoformat(), specs) as one:
        one.environment["PYTHONWARNINGS"] = "ignore"
        yield one


@pytest.fixture
def hook() -> Iterator[HttpReceiver]:
    with http_receiver() as here:
        yield here


@pytest.fixture
def queueing_world(world: World, hook: HttpReceiver) -> World:
    """Return a world whose daemon queues runs and starts none; it holds two days of cost, one revised since.

    Whoever told its channel of a budget was killed before it noted that.
    """
    world.environment["HOOK_URL"] = hook.address
    world.write_settings(alerts=[{"id": "hook", "kind": "webhook", "url_env": "HOOK_URL"}])
    home = world.folder / "home"
    home.mkdir()
    settings = yaml.safe_load((PROJECT_ROOT / "dagster.yaml").read_text())
    settings["concurrency"]["runs"] = {"max_concurrent_runs": 0}
    (home / "dagster.yaml").write_text(yaml.safe_dump(settings))
    revised = world.now.date() - dt.timedelta(days=3)
    with process_environment(world.variables()):
        onelens = Onelens(load_settings())
        for endpoint in endpoints_of(Family.COST):
            if not endpoint.is_optional:
                days = [revised, revised + dt.timedelta(days=1)]
                onelens.landing(endpoint.name).land(endpoint, {"acme": days})
        onelens.warehouse().publish()
        log, moment = AlertLog(onelens.settings().alerts_path), dt.datetime.now(dt.UTC)
        log.record([fact()], onelens.settings().alerts, ["acme"], moment)
        log.attempt("hook", [fact().alert_key], moment)
    world.servers["acme"].api.tenants[0].organization.add_revision(Revision(revised, "up"))
    return world


@pytest.fixture
def browser(world: World) -> Iterator[Browser]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (world.folder / "dev.log").open("w")
    process = world.start("dev", "--port", str(port), output=log)
    here = Browser(port)
    try:
        wait_for(lambda: requests.get(f"{here.address}/server_info", timeout=5).ok, 90)
        yield here
        began = time.monotonic()
        process.terminate()  # as a service manager does: the command alone is told
        assert process.wait(timeout=10) == 128 + signal.SIGTERM
        assert time.monotonic() - began < 2.5  # two seconds, and what a busy machine adds
        assert processes_of(world) == []
        said = Path(log.name).read_text()
        assert said.endswith("Stopped. What is loaded stays; the same command goes on.\n"), said
        assert " - DEBUG - " not in said
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        log.close()


def test_the_ui_shows_the_lineage_and_a_range_launched_there_and_by_no_other_site_is_pulled_and_checked(world, browser):
    # the protection is in front of what `dev` serves; every refusal is in tests/orchestration/test_webserver.py
    address, mutation = f"{browser.address}/graphql", {"query": "mutation { setNuxSeen }"}
    assert requests.get(address, params=mutation, timeout=10).status_code == 405
    other_site = {"Origin": "https://example.com"}
    assert requests.post(address, json=mutation, headers=other_site, timeout=10).status_code == 403

    nodes = wait_for(
        lambda: browser.ask("{ assetNodes { assetKey { path } groupName hasMaterializePermission } }")["assetNodes"], 60
    )
    groups = {node["groupName"] for node in nodes}
    assert {"claude_raw", "staging", "intermediate", "marts", "serving"} == groups

    last = world.now.date() - dt.timedelta(days=2)
    days = [str(last - dt.timedelta(days=1)), str(last)]
    names = ["cost_report", "user_cost_report", "summaries"]
    launched = browser.ask(
        """mutation($backfill: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $backfill) {
            __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }""",
        backfill={
            "assetSelection": [{"path": ["claude_raw", name]} for name in names],
            "partitionNames": days,
            "title": "from the UI",
        },
    )["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched

    def ended() -> str | None:
        found = browser.ask(
            """query($id: String!) { partitionBackfillOrError(backfillId: $id) {
                ... on PartitionBackfill { status runs { status } } } }""",
            id=launched["backfillId"],
        )["partitionBackfillOrError"]
        return found["status"] if found["status"] != "REQUESTED" else None

    assert wait_for(ended, 150) == "COMPLETED_SUCCESS"

    runs = browser.ask("{ runsOrError { ... on Runs { results { runId status pipelineName } } } }")["runsOrError"]
    # a range is one run; the marts may follow
    (run,) = [one for one in runs["results"] if one["pipelineName"] != "marts_job"]
    assert run["status"] == "SUCCESS"

    asset = browser.ask(
        """query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
            assetMaterializations(limit: 10) { partition metadataEntries { label ... on TextMetadataEntry { text } } }
            assetChecksOrError { ... on AssetChecks { checks { name executionForLatestMaterialization { status
                evaluation { success severity description } } } } } } } }""",
        key={"path": ["claude_raw", "cost_report"]},
    )["assetNodeOrError"]
    assert sorted(one["partition"] for one in asset["assetMaterializations"]) == days
    amounts = {
        entry["text"]
        for one in asset["assetMaterializations"]
        for entry in one["metadataEntries"]
        if entry["label"] == "amount_cents"
    }
    true = world.truth("acme", "days", days[0], days[1])["rows"]
    assert len(amounts) == 2
    assert {float(one["amount"]) for one in true} == {float(one) for one in amounts}
    checks = {one["name"]: one["executionForLatestMaterialization"] for one in asset["assetChecksOrError"]["checks"]}
    assert checks["no_new_fields"]["status"] == "SUCCEEDED"
    assert "acme" in checks["every_organization_is_complete"]["evaluation"]["description"]

    events = browser.ask(
        """query($id: ID!) { logsForRun(runId: $id) { ... on EventConnection {
            events { __typename ... on MessageEvent { message } } } } }""",
        id=run["runId"],
    )
    assert events["logsForRun"]["events"]
    browser.ask(
        "query($id: ID!) { runOrError(runId: $id) { ... on Run { runConfigYaml tags { key value } } } }",
        id=run["runId"],
    )
    browser.ask("{ instance { info executablePath: hasInfo } }")
    assert len(browser.seen) > 5
    assert not [answer for answer in browser.seen if SECRET in answer]


def test_the_sensors_in_a_real_daemon_ask_for_one_run_of_the_changed_day_and_tell_what_was_not_told(
    queueing_world, browser, hook
):
    sensor = {**REPOSITORY, "sensorName": "revised_days_sensor"}
    started = wait_for(
        lambda: browser.ask(
            """mutation($sensor: SensorSelector!) { startSensor(sensorSelector: $sensor) {
                __typename ... on Sensor { name } ... on PythonError { message } } }""",
            sensor=sensor,
        )["startSensor"],
        60,
    )
    assert started["__typename"] == "Sensor", started

    def queued() -> list[dict[str, Any]]:
        asked = browser.ask("{ runsOrError { ... on Runs { results { pipelineName status tags { key value } } } } }")
        runs = asked["runsOrError"]["results"]
        return runs if {run["status"] for run in runs} == {"QUEUED"} else []

    (run,) = wait_for(queued, 90)
    revised = str(queueing_world.now.date() - dt.timedelta(days=3))
    tags = {tag["key"]: tag["value"] for tag in run["tags"]}
    assert run["pipelineName"] == "revision_job"
    assert (tags[PARTITION_START_TAG], tags[PARTITION_END_TAG]) == (revised, revised)
    assert tags["dagster/run_key"].startswith(f"revised-acme-{revised}-{revised}-")

    def cursor() -> str | None:
        asked = browser.ask(
            """query($sensor: SensorSelector!) { sensorOrError(sensorSelector: $sensor) { ... on Sensor {
                sensorState { typeSpecificData { ... on SensorData { lastCursor } } } } } }""",
            sensor=sensor,
        )
        return asked["sensorOrError"]["sensorState"]["typeSpecificData"]["lastCursor"]

    assert "acme" in wait_for(cursor, 30)
    told = [one for body in wait_for(lambda: list(hook.posted), 90) for one in body.json["alerts"]]
    assert [one["attempt"] for one in told if one["alert_key"] == fact().alert_key] == [2]
