"""Every fault between a request and a page: what is retried, what is raised, what the message says; never the key."""

from __future__ import annotations

import datetime as dt
import logging
import socket
import threading
import time
from urllib.parse import unquote

import pytest
import requests

from onelens_claude import errors
from onelens_claude.api.client import AnalyticsClient, request_parameters
from onelens_claude.api.endpoints import COST_DIMENSIONS, ENDPOINTS, Query
from onelens_claude.api.rate_limit import SharedRateLimit
from onelens_claude.fake_api import Fault
from tests.api.asking import DAY, KEY, PAGE, WINDOW, Answer, read, rows, scripted
from tests.organizations import organization

# requests


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("users", "date=2026-11-01&limit=1000"),
        ("summaries", "starting_date=2026-11-01&ending_date=2026-11-08"),
        (
            "cost_report",
            "starting_at=2026-11-01T00:00:00Z&ending_at=2026-11-08T00:00:00Z&bucket_width=1d"
            + "".join(f"&group_by[]={name}" for name in COST_DIMENSIONS)
            + "&limit=31",
        ),
    ],
)
def test_a_request_asks_for_exactly_its_window(name, expected):
    endpoint = ENDPOINTS[name]
    assert (
        "&".join(f"{key}={value}" for key, value in request_parameters(endpoint, endpoint.queries[-1], WINDOW))
        == expected
    )


def test_a_filter_and_special_characters_travel_whole(connect):
    with scripted((200, {}, PAGE)) as (base_url, asked):
        list(connect(base_url).pages(ENDPOINTS["cost_report"], Query("piece", (), {"models[]": "a&b=c d/é"}), WINDOW))
    assert unquote(asked[0]).endswith("models[]=a&b=c d/é&limit=31")
    assert "a%26b%3Dc%20d" in asked[0]


@pytest.mark.parametrize(
    ("authentication", "sent"), [("x-api-key", ("x-api-key", KEY)), ("bearer", ("authorization", f"Bearer {KEY}"))]
)
def test_it_gets_with_key_and_version_and_follows_no_netrc(connect, monkeypatch, tmp_path, authentication, sent):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login eve password evil\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    seen: dict[str, str] = {}

    def answer(headers: dict[str, str]) -> Answer:
        seen.update(headers)
        return 200, {}, PAGE

    with scripted(answer) as (base_url, _):
        read(connect(base_url, authentication=authentication))
    assert seen[sent[0]] == sent[1]
    assert seen["anthropic-version"] == "2023-06-01"
    assert {"authorization", "x-api-key"} & set(seen) == {sent[0]}


# pages


def test_pages_are_verbatim_and_complete(make_world, connect):
    base_url = make_world().server.base_url
    pages = read(connect(base_url))
    assert len(pages) > 3
    headers = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
    for page in pages:
        assert requests.get(base_url + page.request_path, headers=headers, timeout=5).content == page.body
        assert page.data_refreshed_at == dt.datetime(2026, 11, 20, 8, tzinfo=dt.UTC)
        assert page.request_id
        assert page.api_organization_id


# faults that pass


@pytest.mark.parametrize(
    "kind",
    [
        "error_500",
        "error_503",
        "error_529",
        "rate_limited",
        "truncated_body",
        "truncated_json",
        "empty_body",
        "connection_reset",
    ],
)
@pytest.mark.parametrize("page", [1, 3])
def test_what_passes_is_retried_and_nothing_is_lost_or_twice(make_world, connect, kind, page):
    here = make_world()
    undisturbed = rows(read(connect(here.server.base_url)))
    here.server.api.faults.add(Fault(kind, endpoint="user_cost_report", page=page, times=2))
    slept: list[float] = []
    assert rows(read(connect(here.server.base_url, slept=slept))) == undisturbed
    assert len(slept) >= 2
    assert all(0 <= seconds < 40 for seconds in slept)


def test_pauses_between_attempts_grow(make_world, connect):
    here = make_world(faults=[Fault("error_500", times=None)])
    slept: list[float] = []
    with pytest.raises(errors.ServerError):
        read(connect(here.server.base_url, attempts=7, slept=slept))
    backoffs = [seconds for seconds in slept if seconds >= 0.5]
    assert len(backoffs) == 6
    assert backoffs == sorted(backoffs)
    assert backoffs[-1] > 8


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("error_500", errors.ServerError, "500 api_error: Internal server error"),
        ("error_529", errors.ServerError, "529 overloaded_error: Overloaded"),
        ("rate_limited", errors.RateLimitedError, "429 rate_limit_error: "),
        ("truncated_body", errors.TransportError, "transport_error: no complete answer from http://127.0.0.1"),
        ("truncated_json", errors.TransportError, "the answer is cut off or not JSON"),
        ("connection_reset", errors.TransportError, "no complete answer from http://127.0.0.1"),
    ],
)
def test_what_does_not_pass_is_raised_after_the_last_attempt(make_world, connect, kind, error, words):
    here = make_world(faults=[Fault(kind, times=None)])
    with pytest.raises(error) as raised:
        read(connect(here.server.base_url, attempts=3))
    assert str(raised.value).startswith("acme: user_cost_report 2026-11-01..2026-11-07: ")
    assert words in str(raised.value)
    if error is not errors.TransportError:
        assert f"(request {raised.value.request_id})" in str(raised.value)
    assert len(here.requests()) == 3


# faults that stay


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"api_key": "another"}, errors.AuthenticationError, "401 authentication_error: invalid x-api-key"),
        ({"scopes": frozenset()}, errors.ForbiddenError, "lacks the required scope read:analytics"),
        ({"access_enabled": False}, errors.ForbiddenError, "Public API access is not enabled"),
    ],
)
def test_a_refusal_is_not_retried_and_says_what_to_do(serve, connect, change, error, words):
    server = serve(organization(**change))
    with pytest.raises(error) as raised:
        read(connect(server.base_url))
    assert words in str(raised.value)
    assert "(request req_" in str(raised.value)
    assert str(raised.value).endswith((".", "organisation."))
    assert len(server.api.log) == 1


def test_an_unreachable_host_is_named(connect):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        base_url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(
            errors.TransportError, match=rf"no complete answer from {base_url}: Failed .*refused\. Check base_url"
        ) as raised:
            read(connect(base_url))
    assert raised.value.__cause__ is None


def test_a_host_name_that_does_not_exist_is_named(connect):
    said = r"no complete answer from https://api\.invalid: Failed to resolve .*\)\. Check base_url"
    with pytest.raises(errors.TransportError, match=said):
        read(connect("https://api.invalid", attempts=1))


def test_a_host_that_takes_no_connection_is_named_in_words(connect, monkeypatch):
    def create_connection(*_: object, **__: object) -> None:
        raise TimeoutError

    monkeypatch.setattr("urllib3.util.connection.create_connection", create_connection)
    said = r"no complete answer from https://api\.invalid: Connection to api\.invalid timed out.* Check base_url"
    with pytest.raises(errors.TransportError, match=said):
        read(connect("https://api.invalid", attempts=1))


def test_an_answer_that_never_comes_ends_with_a_timeout(make_world, tmp_path):
    here = make_world(faults=[Fault("slow", seconds=3, times=None)])
    limit = SharedRateLimit("acme", here.server.base_url, 100_000, folder=tmp_path)
    client = AnalyticsClient(
        organization_id="acme", base_url=here.server.base_url, api_key=lambda: KEY, rate_limit=limit, attempts=1, timeout_seconds=0.2
    )  # fmt: skip
    with pytest.raises(errors.TransportError, match="timed out"):
        read(client)


def test_a_wrong_path_is_not_found(connect):
    body = b'{"type":"error","error":{"type":"not_found_error","message":"Not found"},"request_id":"req_1"}'
    with (
        scripted((404, {}, body)) as (base_url, asked),
        pytest.raises(errors.NotFoundError, match=r"404 not_found_error: Not found \(request req_1\)"),
    ):
        read(connect(base_url))
    assert len(asked) == 1


# cursors


@pytest.mark.parametrize("kind", ["cursor_refused", "cursor_expired"])
def test_a_refused_cursor_begins_the_query_again(make_world, connect, kind):
    here = make_world()
    undisturbed = rows(read(connect(here.server.base_url)))
    here.server.api.faults.add(Fault(kind, page=3, times=2))
    assert rows(read(connect(here.server.base_url))) == undisturbed


def test_a_cursor_that_is_refused_again_and_again_ends_in_its_error(make_world, connect):
    here = make_world(faults=[Fault("cursor_refused", page=2, times=None)])
    with pytest.raises(errors.CursorRefusedError, match="400 invalid_request_error: page: Invalid cursor"):
        read(connect(here.server.base_url))
    assert len(here.requests()) == 6


def test_cursors_that_lead_in_a_circle_end(make_world, connect):
    here = make_world(faults=[Fault("cursor_loop", page=2, times=None)])
    with pytest.raises(errors.MalformedResponseError, match="a page cursor was repeated"):
        read(connect(here.server.base_url))
    assert len(here.requests()) <= 4


# 429


def test_retry_after_is_honoured_by_every_client_of_the_organisation(make_world, connect):
    here = make_world(faults=[Fault("rate_limited", value="17")])
    slept: list[float] = []
    read(connect(here.server.base_url, slept=slept), window=DAY)
    assert 17 <= sum(slept) < 19


def test_a_429_that_ends_one_client_still_holds_up_the_others(connect, tmp_path):
    with scripted((429, {"retry-after": "30"}, b"{}"), (200, {}, PAGE)) as (base_url, _):
        with pytest.raises(errors.RateLimitedError):
            read(connect(base_url, attempts=1))
        slept: list[float] = []
        read(connect(base_url, attempts=1, slept=slept))
    assert 29 < sum(slept) < 31


# stopping


def test_stopping_ends_a_wait_at_once(make_world, tmp_path):
    here = make_world(faults=[Fault("rate_limited", value="600", times=None)])
    client = here.client()
    threading.Timer(0.3, client.stop).start()
    began = time.monotonic()
    with pytest.raises(errors.StoppedError, match="acme: stopped"):
        read(client)
    assert time.monotonic() - began < 5
    with pytest.raises(errors.StoppedError):
        read(client)
    assert len(here.requests()) == 1


# the key


def test_the_key_is_in_no_log_message_or_repr(make_world, connect, caplog):
    caplog.set_level(logging.DEBUG)
    here = make_world({"acme": organization(access_enabled=False)})
    client = connect(here.server.base_url)
    for kind in ("connection_reset", "error_500", "html_200", "truncated_body"):
        here.server.api.faults.add(Fault(kind))
    with pytest.raises(errors.ApiError) as raised:
        read(client)
    with pytest.raises(errors.TransportError) as unsendable:
        read(connect(here.server.base_url, key=f"{KEY}\n"))
    assert "urllib3" in {record.name.split(".")[0] for record in caplog.records}
    assert KEY not in caplog.text
    assert KEY not in repr(client)
    for error in (raised.value, unsendable.value):
        assert KEY not in f"{error} {error!r} {vars(error)}"


def test_a_key_that_cannot_be_read_any_more_is_a_settings_error(make_world):
    here = make_world()
    client = here.client()
    (here.settings.source.parent / "acme.key").unlink()
    with pytest.raises(errors.SettingsError, match=r"organizations\.acme\.api_key_file"):
        read(client, ENDPOINTS["users"], DAY)


# who answered


@pytest.mark.parametrize("status", [408, 520, 521, 522, 523, 524])
def test_what_stands_before_the_api_may_fail_for_a_moment(connect, status):
    with scripted((status, {}, b"<html>a proxy</html>"), (200, {}, PAGE)) as (base_url, asked):
        assert len(read(connect(base_url))) == 1
    assert len(asked) == 2
