"""Transport: methods, keys, headers, paths, error bodies and the rate limit."""

from __future__ import annotations

from time import perf_counter

import pytest
import requests

from onelens_claude.fake_api import DEMO_KEY, FakeApi
from onelens_claude.fake_api.contract import ApiError
from onelens_claude.fake_api.limits import RateLimiter

from .helpers import NOW, WINDOW, Reader, served, spec

USERS = "users?date=2026-11-10"
ROOT = "/v1/organizations/analytics/"


def raw(reader: Reader, path: str, method: str = "GET", **headers: str) -> requests.Response:
    return requests.request(method, reader.server.base_url + path, headers=headers, timeout=10)


VERSION = {"anthropic-version": "2023-06-01"}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "HEAD"])
def test_only_get_is_allowed(calm: Reader, method: str) -> None:
    response = raw(calm, ROOT + USERS, method, **{"x-api-key": DEMO_KEY, **VERSION})
    assert response.status_code == 405
    assert response.headers["allow"] == "GET"


@pytest.mark.parametrize("headers", [{"x-api-key": DEMO_KEY}, {"authorization": f"Bearer {DEMO_KEY}"}])
def test_both_ways_to_send_the_key_work(calm: Reader, headers: dict[str, str]) -> None:
    assert raw(calm, ROOT + USERS, **headers, **VERSION).status_code == 200


@pytest.mark.parametrize(
    "headers", [{}, {"x-api-key": "wrong"}, {"authorization": "Bearer wrong"}, {"authorization": DEMO_KEY}]
)
def test_a_missing_or_wrong_key_is_401_with_the_documented_body(calm: Reader, headers: dict[str, str]) -> None:
    response = raw(calm, ROOT + USERS, **headers, **VERSION)
    body = response.json()
    assert response.status_code == 401
    assert body == {
        "type": "error",
        "error": {"type": "authentication_error", "message": "invalid x-api-key"},
        "request_id": response.headers["request-id"],
    }
    assert body["request_id"].startswith("req_")


def test_the_version_header_is_required(calm: Reader) -> None:
    response = raw(calm, ROOT + USERS, **{"x-api-key": DEMO_KEY})
    assert response.status_code == 400
    assert "anthropic-version" in response.json()["error"]["message"]
    assert "anthropic-version" in calm.refused(USERS, headers={"anthropic-version": "newest"})


def test_an_unknown_path_is_404(calm: Reader) -> None:
    assert calm.refused("nothing", 404)
    assert raw(calm, "/v1/models", **{"x-api-key": DEMO_KEY, **VERSION}).json()["error"]["type"] == "not_found_error"


def test_a_key_without_the_scope_or_access_is_403(fresh: Reader) -> None:
    fresh.control("access", enabled=False)
    assert "not enabled" in fresh.refused("users", 403, date="2026-11-10")
    fresh.control("access", enabled=True)
    fresh.control("scopes", scopes=["read:other"])
    assert "read:analytics" in fresh.refused("users", 403, date="2026-11-10")
    assert fresh.truth()["name"] == "Acme Corp"


def test_organizations_are_told_apart_by_key() -> None:
    with served(spec(), spec(api_key="other", seed=2, users=5, name="Globex")) as server:
        ids = {Reader(server, key).ok("cost_report", **WINDOW)["organization_id"] for key in (DEMO_KEY, "other")}
        assert len(ids) == 2
        totals = {Reader(server, key).truth()["amount"] for key in (DEMO_KEY, "other")}
        assert len(totals) == 2


def test_two_organizations_cannot_share_a_key() -> None:
    with pytest.raises(ValueError, match="same key"):
        FakeApi([spec(), spec(seed=2)], now=lambda: NOW, requests_per_minute=None, faults=())


def test_a_rotated_key_replaces_the_old_one_at_once(fresh: Reader) -> None:
    fresh.control("key", api_key="second", keep_old=True)
    assert fresh.get("users", date="2026-11-10").status_code == 200
    fresh.control("key", api_key="third")
    assert fresh.get("users", date="2026-11-10").status_code == 401
    assert Reader(fresh.server, "third").get("users", date="2026-11-10").status_code == 200


def test_the_sixty_first_request_within_a_minute_is_429_whatever_it_asks_for() -> None:
    with served(spec(), spec(api_key="other", seed=2, users=3), rpm=60) as server:
        reader, other = Reader(server), Reader(server, "other")
        with requests.Session() as session:
            for number in range(60):
                path = "users" if number % 2 else "nothing"
                session.get(server.base_url + ROOT + path, headers=reader.headers, timeout=10)
            refused = session.get(server.base_url + ROOT + USERS, headers=reader.headers, timeout=10)
        assert refused.status_code == 429
        assert refused.json()["error"]["type"] == "rate_limit_error"
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert other.get("users", date="2026-11-10").status_code == 200
        assert reader.truth()["name"] == "Acme Corp"


def test_a_kept_connection_answers_in_milliseconds(calm: Reader) -> None:
    with requests.Session() as session:
        url = calm.server.base_url + ROOT + "nothing"
        started = perf_counter()
        for _ in range(50):
            session.get(url, headers=calm.headers, timeout=10)
        assert perf_counter() - started < 1.0


def test_the_rate_limit_slides_and_says_when_to_come_back() -> None:
    clock = [0.0]
    limiter = RateLimiter(2, lambda: clock[0])
    limiter.admit("a")
    clock[0] = 30.0
    limiter.admit("a")
    clock[0] = 59.5
    with pytest.raises(ApiError) as caught:
        limiter.admit("a")
    assert caught.value.headers == {"retry-after": "1"}
    limiter.admit("b")
    clock[0] = 60.0
    limiter.admit("a")
    with pytest.raises(ApiError) as caught:
        limiter.admit("a")
    assert caught.value.headers == {"retry-after": "30"}


def test_the_log_counts_requests_per_path_and_organization(fresh: Reader) -> None:
    fresh.get("users", date="2026-11-10")
    fresh.get("users", date="2030-01-01")
    fresh.get("skills", date="2026-11-10")
    url = f"{fresh.server.base_url}/control/log"
    log = requests.get(url, headers={"x-api-key": DEMO_KEY}, timeout=10).json()
    (counts,) = log["by_endpoint"].values()
    assert counts == {ROOT + "users": 2, ROOT + "skills": 1}
    assert [entry["status"] for entry in log["requests"]] == [200, 400, 200]
    fresh.control("log/clear")
    assert requests.get(url, headers={"x-api-key": DEMO_KEY}, timeout=10).json()["total"] == 0


def test_control_can_be_left_out_and_needs_a_key(calm: Reader) -> None:
    from onelens_claude.fake_api import create_app, running_server

    assert requests.post(f"{calm.server.base_url}/control/now", json={"now": None}, timeout=10).status_code == 401
    with running_server(create_app([spec()], now=lambda: NOW, control=False)) as server:
        response = requests.post(f"{server.base_url}/control/now", headers={"x-api-key": DEMO_KEY}, json={}, timeout=10)
        assert response.status_code == 405


@pytest.mark.parametrize(
    ("topic", "body", "status"),
    [
        ("now", b"{}", 400),
        ("now", b"[]", 400),
        ("now", b"{", 400),
        ("x", b"{}", 404),
        ("faults", b'{"kind":"x"}', 400),
        ("revisions", b'{"day":"2026-11-01","kind":"x"}', 400),
    ],
)
def test_control_says_what_it_does_not_understand(calm: Reader, topic: str, body: bytes, status: int) -> None:
    url = f"{calm.server.base_url}/control/{topic}"
    response = requests.post(url, data=body, headers={"x-api-key": DEMO_KEY}, timeout=10)
    assert response.status_code == status
    assert response.json()["error"]["message"]
