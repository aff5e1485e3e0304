"""Every fault between a request and a page: what is retried, what is raised, what the message says; never the key."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
import requests

from onelens_claude import errors
from onelens_claude.api.client import AnalyticsClient, Page, request_parameters
from onelens_claude.api.endpoints import COST_DIMENSIONS, ENDPOINTS, Endpoint, Query
from onelens_claude.api.rate_limit import SharedRateLimit
from onelens_claude.api.windows import Window
from onelens_claude.fake_api import Fault
from tests.organizations import organization
from tests.places import small_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY = "sk-ant-api01-acme"
COSTS = small_pages("user_cost_report")
WINDOW = Window(dt.date(2026, 11, 1), dt.date(2026, 11, 8))
DAY = Window(dt.date(2026, 11, 17), dt.date(2026, 11, 18))


@pytest.fixture
def connect(tmp_path: Path) -> Callable[..., AnalyticsClient]:
    """Make a client that notes its waits instead of waiting."""

    def make(
        base_url: str, key: str = KEY, *, attempts: int = 3, slept: list[float] | None = None, **options: Any
    ) -> AnalyticsClient:
        moment = [1_800_000_000.0]

        def sleep(seconds: float) -> None:
            moment[0] += seconds
            if slept is not None:
                slept.append(seconds)

        return AnalyticsClient(
            organization_id="acme",
            base_url=base_url,
            api_key=lambda: key,
            rate_limit=SharedRateLimit("acme", base_url, 100_000, folder=tmp_path, now=lambda: moment[0], sleep=sleep),
            attempts=attempts,
            timeout_seconds=5,
            **{"sleep": sleep, **options},
        )

    return make


def read(client: AnalyticsClient, endpoint: Endpoint = COSTS, window: Window = WINDOW) -> list[Page]:
    """Read every page as the landing does; after a restart only the pages of the last walk are left."""
    pages: dict[int, Page] = {}

    def keep(number: int, page: Page) -> None:
        if number == 1:
            pages.clear()
        pages[number] = page

    client.read_all(endpoint, endpoint.queries[-1], window, keep)
    assert list(pages) == list(range(1, len(pages) + 1))
    return list(pages.values())


def rows(pages: list[Page]) -> list[dict[str, Any]]:
    return [row for page in pages for row in json.loads(page.body)["data"]]


Answer = tuple[int, dict[str, str], bytes]
PAGE = json.dumps({"data": [], "has_more": False, "next_page": None}).encode()


@contextlib.contextmanager
def scripted(*answers: Answer | Callable[[dict[str, str]], Answer]) -> Iterator[tuple[str, list[str]]]:
    """Serve hand-written answers in turn, the last one for ever; yield the address and the paths asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers[min(len(asked), len(answers) - 1)]
            asked.append(self.path)
            status, headers, body = (
                answer({name.lower(): value for name, value in self.headers.items()}) if callable(answer) else answer
            )
            self.send_response(status)
            for name, value in {"content-length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


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


def test_pages_are_verbatim_and_complete(place, connect):
    base_url = place().server.base_url
    pages = read(connect(base_url))
    assert len(pages) > 3
    headers = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
    for page in pages:
        assert requests.get(base_url + page.request_path, headers=headers, timeout=5).content == page.body
        assert page.data_refreshed_at == dt.datetime(2026, 11, 20, 8, tzinfo=dt.UTC)
        assert page.request_id
        assert page.api_organization_id


def test_older_envelopes_without_has_more_and_stamp_are_read(connect):
    first, second = b'{"data":[1],"next_page":"p2"}', b'{"data":[2]}'
    with scripted((200, {}, first), (200, {}, second)) as (base_url, asked):
        pages = read(connect(base_url))
    assert [page.body for page in pages] == [first, second]
    assert asked[1].endswith("&page=p2")
    assert pages[0].data_refreshed_at is None
    assert pages[0].request_id is None


def test_the_older_wrapping_of_summaries_is_read(place, connect):
    here = place(faults=[Fault("old_summaries", times=None)])
    (page,) = read(connect(here.server.base_url), ENDPOINTS["summaries"])
    assert len(json.loads(page.body)["summaries"]) == 7


@pytest.mark.parametrize(
    "stamp",
    ["2026-11-20T08:00:00Z", "2026-11-20T10:00:00+02:00", "2026-11-20T08:00:00", "2026-11-20T08:00:00.000000000Z"],
)
def test_a_stamp_in_any_iso_form_is_the_same_moment(connect, stamp):
    body = json.dumps({"data": [], "data_refreshed_at": stamp}).encode()
    with scripted((200, {}, body)) as (base_url, _):
        (page,) = read(connect(base_url))
    assert page.data_refreshed_at == dt.datetime(2026, 11, 20, 8, tzinfo=dt.UTC)


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
def test_what_passes_is_retried_and_nothing_is_lost_or_twice(place, connect, kind, page):
    here = place()
    undisturbed = rows(read(connect(here.server.base_url)))
    here.server.api.faults.add(Fault(kind, endpoint="user_cost_report", page=page, times=2))
    slept: list[float] = []
    assert rows(read(connect(here.server.base_url, slept=slept))) == undisturbed
    assert len(slept) >= 2
    assert all(0 <= seconds < 40 for seconds in slept)


def test_pauses_between_attempts_grow(place, connect):
    here = place(faults=[Fault("error_500", times=None)])
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
def test_what_does_not_pass_is_raised_after_the_last_attempt(place, connect, kind, error, words):
    here = place(faults=[Fault(kind, times=None)])
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


def test_an_answer_that_never_comes_ends_with_a_timeout(place, tmp_path):
    here = place(faults=[Fault("slow", seconds=3, times=None)])
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


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<!doctype html><html><body>Sign in</body></html>", "is HTML, not JSON"),
        (b"\n  <html></html>", "is HTML, not JSON"),
        (b"[]", "not of the expected form"),
        (b'{"rows":[]}', "no list `data`"),
        (b'{"data":{}}', "no list `data`"),
        (b'{"data":null}', "no list `data`"),
        (b'{"data":[],"has_more":"yes"}', "not of the expected form"),
        (b'{"data":[],"has_more":true,"next_page":null}', "names no next page"),
        (b'{"data":[],"data_refreshed_at":"yesterday"}', "data_refreshed_at 'yesterday' is not an RFC 3339 timestamp"),
        (b'{"type":"error","error":{"type":"api_error","message":"x"}}', "no list `data`"),
    ],
)
def test_status_200_with_something_else_is_refused_at_once_and_kept(connect, body, words):
    with (
        scripted((200, {"request-id": "req_7"}, body)) as (base_url, asked),
        pytest.raises(errors.MalformedResponseError) as raised,
    ):
        read(connect(base_url))
    assert words in str(raised.value)
    assert "(request req_7)" in str(raised.value)
    assert len(asked) == 1
    if "next page" not in words:
        assert raised.value.body == body


def test_a_web_page_from_the_server_is_refused(place, connect):
    here = place(faults=[Fault("html_200", endpoint="user_cost_report", page=2)])
    with pytest.raises(errors.MalformedResponseError, match="has status 200, but is HTML"):
        read(connect(here.server.base_url))


def test_a_redirect_is_not_followed_with_the_key(connect):
    with (
        scripted((302, {"location": "http://127.0.0.1:1/elsewhere"}, b"")) as (base_url, asked),
        pytest.raises(errors.MalformedResponseError, match="302"),
    ):
        read(connect(base_url))
    assert len(asked) == 1


@pytest.mark.parametrize(
    "body", [b"", b"no json", b"[1]", b'{"error":"text"}', b'{"error":{"message":5}}', b"\xff\xfe"]
)
def test_an_error_without_the_apis_form_still_names_its_status(connect, body):
    with (
        scripted((403, {}, body)) as (base_url, _),
        pytest.raises(errors.MalformedResponseError, match="403 malformed_response: HTTP 403"),
    ):
        read(connect(base_url))


# cursors


@pytest.mark.parametrize("kind", ["cursor_refused", "cursor_expired"])
def test_a_refused_cursor_begins_the_query_again(place, connect, kind):
    here = place()
    undisturbed = rows(read(connect(here.server.base_url)))
    here.server.api.faults.add(Fault(kind, page=3, times=2))
    assert rows(read(connect(here.server.base_url))) == undisturbed


def test_a_cursor_that_is_refused_again_and_again_ends_in_its_error(place, connect):
    here = place(faults=[Fault("cursor_refused", page=2, times=None)])
    with pytest.raises(errors.CursorRefusedError, match="400 invalid_request_error: page: Invalid cursor"):
        read(connect(here.server.base_url))
    assert len(here.requests()) == 6


def test_cursors_that_lead_in_a_circle_end(place, connect):
    here = place(faults=[Fault("cursor_loop", page=2, times=None)])
    with pytest.raises(errors.MalformedResponseError, match="a page cursor was repeated"):
        read(connect(here.server.base_url))
    assert len(here.requests()) <= 4


# days that are not there yet


def test_a_day_that_is_not_there_yet_says_which_is(place, connect):
    here = place({"acme": organization(engagement_lag_days=4)})
    window = Window(dt.date(2026, 11, 19), dt.date(2026, 11, 20))
    with pytest.raises(errors.NotYetAvailableError) as raised:
        read(connect(here.server.base_url), ENDPOINTS["users"], window)
    assert raised.value.latest_day == dt.date(2026, 11, 16)
    assert raised.value.reason == "Data for 2026-11-19 is not available yet. The latest available date is 2026-11-16."
    assert raised.value.error_type == "not_yet_available"


@pytest.mark.parametrize(
    ("window", "message", "latest"),
    [
        (("2026-11-10", "2026-11-20"), "Data for 2026-11-19 is not available yet. The latest available date is 2026-11-10.", "2026-11-10"),
        (("2026-11-10", "2026-11-20"), "2026-11-10 to 2026-11-20 asked for; the latest available day is 2026-11-15", "2026-11-15"),
        (("2026-11-10", "2026-11-20"), "Data is available from 2026-01-01 to 2026-11-15.", "2026-11-15"),
        (("2026-11-10", "2026-11-20"), "Latest available: 2026-11-15T00:00:00Z, try again after 2026-11-21", "2026-11-15"),
        (("2026-11-19", "2026-11-20"), "No data available for 2026-11-19, the latest is 2026-11-18.", "2026-11-18"),
        (("2026-11-19", "2026-11-20"), "Data for 2026-11-19 is not available yet.", None),
        (("2026-11-19", "2026-11-20"), "date must be before 2026-11-18", None),
        (("2026-11-19", "2026-11-20"), "Nothing available before 2026-01-01", None),
        (("2026-11-19", "2026-11-20"), "available: 2026-11-99, 2026-13-01, 12026-11-180", None),
    ],
)  # fmt: skip
def test_the_latest_day_is_read_from_several_wordings(connect, set_now, window, message, latest):
    set_now("2026-11-20T12:00:00Z")
    first, end = (dt.date.fromisoformat(day) for day in window)
    body = json.dumps({"error": {"type": "invalid_request_error", "message": message}}).encode()
    with scripted((400, {}, body)) as (base_url, _), pytest.raises(errors.InvalidRequestError) as raised:
        read(connect(base_url), ENDPOINTS["summaries"], Window(first, end))
    found = getattr(raised.value, "latest_day", None)
    assert found == (dt.date.fromisoformat(latest) if latest else None)


# days before the oldest


@pytest.mark.parametrize(
    ("window", "message", "is_too_early", "earliest"),
    [
        (("2026-03-01", "2026-03-02"), "2026-03-01 is before the earliest available date 2026-03-05.", True, "2026-03-05"),
        (("2026-03-01", "2026-04-01"), "starting_date 2026-03-01: must be no earlier than 2026-03-05", True, "2026-03-05"),
        (("2026-03-01", "2026-04-01"), "No data is available before 2026-03-05 (asked for 2026-03-01 to 2026-04-01)", True, "2026-03-05"),
        (("2026-03-01", "2026-03-02"), "Earliest: 2026-03-02", True, "2026-03-02"),
        (("2026-03-01", "2026-03-02"), "The date is older than the data of this organization.", True, None),
        (("2026-11-10", "2026-11-20"), "Data for 2026-11-19 is not available before 10:00 UTC; the latest is 2026-11-15.", False, None),
        (("2026-11-10", "2026-11-20"), "Earliest available date: 2026-01-01, latest: 2026-11-15.", False, None),
        (("2026-03-01", "2026-04-01"), "starting_date must be before ending_date", False, None),
        (("2026-03-01", "2026-04-01"), "A range may span no more than 31 days", False, None),
    ],
)  # fmt: skip
def test_the_oldest_day_is_read_from_several_wordings(connect, set_now, window, message, is_too_early, earliest):
    set_now("2026-11-20T12:00:00Z")
    first, end = (dt.date.fromisoformat(day) for day in window)
    body = json.dumps({"error": {"type": "invalid_request_error", "message": message}}).encode()
    with scripted((400, {}, body)) as (base_url, _), pytest.raises(errors.InvalidRequestError) as raised:
        read(connect(base_url), ENDPOINTS["summaries"], Window(first, end))
    assert isinstance(raised.value, errors.TooEarlyError) == is_too_early
    found = getattr(raised.value, "earliest_day", None)
    assert found == (dt.date.fromisoformat(earliest) if earliest else None)


# 429


def test_retry_after_is_honoured_by_every_client_of_the_organisation(place, connect):
    here = place(faults=[Fault("rate_limited", value="17")])
    slept: list[float] = []
    read(connect(here.server.base_url, slept=slept), window=DAY)
    assert 17 <= sum(slept) < 19


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [("5", 5, 6), ("0.5", 0.5, 1), ("-3", 0, 1), ("soon", 10, 11), (None, 10, 11), ("inf", 3600, 3601), ("nan", 0, 1), ("Thu, 01 Jan 2026 00:00:00 GMT", 0, 1), ("Thu, 01 Jan 2026 00:00:00 -0000", 0, 1)],
)  # fmt: skip
def test_retry_after_is_read_in_every_form(connect, value, least, most):
    limited = (429, {"retry-after": value} if value else {}, b"{}")
    slept: list[float] = []
    with scripted(limited, (200, {}, PAGE)) as (base_url, _):
        read(connect(base_url, slept=slept))
    assert least <= sum(slept) <= most


def test_a_429_that_ends_one_client_still_holds_up_the_others(connect, tmp_path):
    with scripted((429, {"retry-after": "30"}, b"{}"), (200, {}, PAGE)) as (base_url, _):
        with pytest.raises(errors.RateLimitedError):
            read(connect(base_url, attempts=1))
        slept: list[float] = []
        read(connect(base_url, attempts=1, slept=slept))
    assert 29 < sum(slept) < 31


# stopping


def test_stopping_ends_a_wait_at_once(place, tmp_path):
    here = place(faults=[Fault("rate_limited", value="600", times=None)])
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


@pytest.mark.parametrize("status", [200, 400, 403, 500])
def test_a_page_that_repeats_the_request_does_not_make_us_repeat_the_key(connect, status):
    def echo(headers: dict[str, str]) -> Answer:
        message = f"your key {headers['x-api-key']} is no good"
        text = f"<html>{message}</html>" if status == 200 else json.dumps({"error": {"message": message}})
        return status, {}, text.encode()

    with scripted(echo) as (base_url, _), pytest.raises(errors.ApiError) as raised:
        read(connect(base_url, attempts=1))
    assert KEY not in str(raised.value)
    assert KEY not in repr(vars(raised.value))
    if status == 200:
        assert b"your key [key] is no good" in raised.value.body
    else:
        assert "your key [key] is no good" in str(raised.value)


def test_the_key_is_in_no_log_message_or_repr(place, connect, caplog):
    caplog.set_level(logging.DEBUG)
    here = place({"acme": organization(access_enabled=False)})
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


def test_a_key_that_cannot_be_read_any_more_is_a_settings_error(place):
    here = place()
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


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("body", [b"<html><body>Blocked</body></html>", b"", b'{"message": "no"}'])
def test_a_refusal_without_the_apis_own_error_is_somebody_elses(connect, status, body):
    with scripted((status, {}, body)) as (base_url, _), pytest.raises(errors.MalformedResponseError) as refused:
        read(connect(base_url))
    assert refused.value.error_type == "malformed_response"
    assert f"{status} malformed_response: HTTP {status}" in str(refused.value)
    assert "a firewall or proxy answered, not the API" in str(refused.value)
    assert "scope" not in str(refused.value)


@pytest.mark.parametrize(("status", "kind"), [(401, "authentication_error"), (403, "permission_error")])
@pytest.mark.parametrize("key", [KEY, "sk-ant-admin01-somebody"])
def test_an_admin_key_is_told_from_one_that_lacks_the_scope(connect, status, kind, key):
    body = json.dumps({"type": "error", "error": {"type": kind, "message": "no"}}).encode()
    with scripted((status, {}, body)) as (base_url, _), pytest.raises(errors.ApiError) as refused:
        read(connect(base_url, key))
    assert ("This is an Admin API key" in str(refused.value)) is key.startswith("sk-ant-admin")
    assert key not in str(refused.value)


def test_a_ca_bundle_that_is_not_there_is_a_settings_error_with_its_name(connect, monkeypatch, tmp_path):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    with pytest.raises(errors.SettingsError, match=r"variable REQUESTS_CA_BUNDLE: there is no .*missing\.pem"):
        read(connect("https://127.0.0.1:9"))
