"""Every form an answer may have: what is read of it, which error it is and what that says; never the key."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from onelens_claude import errors
from onelens_claude.api.endpoints import ENDPOINTS
from onelens_claude.api.windows import Window
from onelens_claude.fake_api import Fault
from tests.api.asking import KEY, PAGE, Answer, read, scripted
from tests.organizations import organization

# pages


def test_older_envelopes_without_has_more_and_stamp_are_read(connect):
    first, second = b'{"data":[1],"next_page":"p2"}', b'{"data":[2]}'
    with scripted((200, {}, first), (200, {}, second)) as (base_url, asked):
        pages = read(connect(base_url))
    assert [page.body for page in pages] == [first, second]
    assert asked[1].endswith("&page=p2")
    assert pages[0].data_refreshed_at is None
    assert pages[0].request_id is None


def test_the_older_wrapping_of_summaries_is_read(make_world, connect):
    here = make_world(faults=[Fault("old_summaries", times=None)])
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


def test_a_web_page_from_the_server_is_refused(make_world, connect):
    here = make_world(faults=[Fault("html_200", endpoint="user_cost_report", page=2)])
    with pytest.raises(errors.MalformedResponseError, match="has status 200, but is HTML"):
        read(connect(here.server.base_url))


# errors


@pytest.mark.parametrize(
    "body", [b"", b"no json", b"[1]", b'{"error":"text"}', b'{"error":{"message":5}}', b"\xff\xfe"]
)
def test_an_error_without_the_apis_form_still_names_its_status(connect, body):
    with (
        scripted((403, {}, body)) as (base_url, _),
        pytest.raises(errors.MalformedResponseError, match="403 malformed_response: HTTP 403"),
    ):
        read(connect(base_url))


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


# days that are not there yet


def test_a_day_that_is_not_there_yet_says_which_is(make_world, connect):
    here = make_world({"acme": organization(engagement_lag_days=4)})
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


# pauses


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [("5", 5, 6), ("0.5", 0.5, 1), ("-3", 0, 1), ("soon", 10, 11), ("Fri, 31 Dec 9999 23:59:59 -2359", 10, 11), (None, 10, 11), ("inf", 3600, 3601), ("nan", 0, 1), ("Thu, 01 Jan 2026 00:00:00 GMT", 0, 1), ("Thu, 01 Jan 2026 00:00:00 -0000", 0, 1)],
)  # fmt: skip
def test_retry_after_is_read_in_every_form(connect, value, least, most):
    limited = (429, {"retry-after": value} if value else {}, b"{}")
    slept: list[float] = []
    with scripted(limited, (200, {}, PAGE)) as (base_url, _):
        read(connect(base_url, slept=slept))
    assert least <= sum(slept) <= most
