"""What a page of another site, or of a name that points here, cannot make the local webserver do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from dagster import instance_for_test
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster_webserver.app import create_app_from_workspace_process_context
from dagster_webserver.webserver import DagsterWebserver
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from onelens_claude.orchestration import webserver
from onelens_claude.orchestration.assets.report import REPORT_PATH
from onelens_claude.report.page import default_path
from tests.report.made_up import settings_for

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = "http://127.0.0.1:3000"
SOCKET = "ws://127.0.0.1:3000/graphql"
QUERY = "{ version }"
MUTATION = "mutation { setNuxSeen }"


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    """Return a client of the real webserver, made as Dagster's command makes it."""
    with pytest.MonkeyPatch.context() as patch, instance_for_test() as instance:
        patch.setattr("dagster_webserver.app.DagsterWebserver", DagsterWebserver)  # as it is before, and then again
        webserver.protect()
        with (
            WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as context,
            TestClient(create_app_from_workspace_process_context(context), base_url=HERE) as one,
        ):
            yield one


def test_the_ui_and_programs_without_an_origin_are_served(client):
    for headers in ({"Origin": HERE}, {}):
        for text in (QUERY, MUTATION):
            answer = client.post("/graphql", json={"query": text}, headers=headers)
            assert answer.status_code == 200
            assert "errors" not in answer.json()
    assert client.get("/server_info").status_code == 200
    assert client.get("/graphql", headers={"Accept": "text/html"}).status_code == 200
    assert client.get("/server_info", headers={"Host": "localhost:3000"}).status_code == 200


@pytest.mark.parametrize("text", [QUERY, MUTATION])
def test_nothing_is_executed_by_get(client, text):
    for path in ("/graphql", "/graphql/"):
        answer = client.get(path, params={"query": text}, follow_redirects=False)
        assert answer.status_code == 405
        assert "data" not in answer.text


@pytest.mark.parametrize("origin", ["https://example.com", "http://127.0.0.1:3001", "http://localhost:3000", "null"])
def test_what_another_sites_page_sends_is_refused(client, origin):
    for path in ("/graphql", "/report_asset_materialization/some"):
        answer = client.post(path, json={"query": MUTATION}, headers={"Origin": origin})
        assert answer.status_code == 403
        assert origin in answer.text
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(SOCKET, headers={"Origin": origin}):
        pass


def test_the_uis_own_websocket_is_served(client):
    with client.websocket_connect(SOCKET, ["graphql-ws"], headers={"Origin": HERE}) as socket:
        socket.send_json({"type": "connection_init"})
        assert socket.receive_json()["type"] == "connection_ack"


@pytest.mark.parametrize("host", ["example.com", "127.0.0.1.example.com:3000", "192.168.1.5:3000", ""])
def test_a_name_that_was_made_to_point_here_is_refused(client, host):
    for method in ("GET", "POST"):
        assert client.request(method, "/graphql", json={"query": QUERY}, headers={"Host": host}).status_code == 400
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(SOCKET, headers={"Host": host}):
        pass


def test_the_page_of_spend_is_served_beside_the_ui_and_what_is_missing_is_said(client, tmp_path, monkeypatch):
    settings = settings_for(tmp_path)
    monkeypatch.setenv("ONELENS_CONFIG", str(settings.source))
    answer = client.get(REPORT_PATH)
    assert (answer.status_code, "materialize serving/report" in answer.text) == (404, True)
    page = default_path(settings)
    page.parent.mkdir(parents=True)
    page.write_text("<!doctype html><title>Acme</title>")
    answer = client.get(REPORT_PATH)
    assert (answer.status_code, answer.text) == (200, page.read_text())
    assert answer.headers["content-type"].startswith("text/html")
    assert client.get(REPORT_PATH, headers={"Host": "elsewhere.example"}).status_code == 400
