"""During a rotation the next key is tried first, and the present one is there when it is refused."""

from __future__ import annotations

import json

import pytest

from onelens_claude import errors
from onelens_claude.errors import UnreadableKeyError
from tests.api.asking import DAY, KEY, PAGE, Answer, read, scripted

NEXT = "sk-ant-api01-next"


def refusing(*keys: str, status: int = 401, kind: str = "authentication_error"):
    """Answer with a page, unless the key is one of these; yield the keys that came."""
    came: list[str] = []

    def answer(headers: dict[str, str]) -> Answer:
        came.append(headers["x-api-key"])
        if headers["x-api-key"] not in keys:
            return 200, {}, PAGE
        body = {"error": {"type": kind, "message": f"invalid {headers['x-api-key']}"}, "request_id": "req_1"}
        return status, {}, json.dumps(body).encode()

    return answer, came


def test_the_next_key_is_the_one_that_is_used(connect, caplog):
    answer, came = refusing()
    with scripted(answer) as (base_url, _):
        client = connect(base_url, next_api_key=lambda: NEXT)
        read(client, window=DAY)
        read(client, window=DAY)
    assert came == [NEXT, NEXT]
    assert (client.next_key_refusal, caplog.text) == ("", "")


@pytest.mark.parametrize(("status", "kind"), [(401, "authentication_error"), (403, "permission_error")])
def test_a_refused_next_key_is_one_warning_and_the_present_one_goes_on(connect, caplog, status, kind):
    answer, came = refusing(NEXT, status=status, kind=kind)
    with scripted(answer) as (base_url, _):
        client = connect(base_url, next_api_key=lambda: NEXT)
        read(client, window=DAY)
        read(client, window=DAY)
    assert came == [NEXT, KEY, KEY]
    (warning,) = caplog.messages
    assert warning == client.next_key_refusal
    assert warning.startswith(
        "acme: the next API key is not used, the present one is: acme: user_cost_report 2026-11-17"
    )
    assert f"{status} {kind}: invalid [key] (request req_1)" in warning
    assert warning.endswith("Correct next_api_key_... in the settings, or remove it to end the rotation.")


def test_a_next_key_that_cannot_be_read_is_one_warning_and_the_present_one_goes_on(connect, caplog):
    def unreadable() -> str:
        raise UnreadableKeyError("organizations.acme.next_api_key_env: environment variable NEXT is not set or empty")

    answer, came = refusing()
    with scripted(answer) as (base_url, _):
        read(connect(base_url, next_api_key=unreadable), window=DAY)
    assert came == [KEY]
    assert "environment variable NEXT is not set or empty" in caplog.text


def test_when_both_keys_are_refused_the_present_ones_refusal_is_the_error(connect):
    answer, came = refusing(NEXT, KEY)
    with (
        scripted(answer) as (base_url, _),
        pytest.raises(errors.AuthenticationError, match="Check the key of this organisation"),
    ):
        read(connect(base_url, next_api_key=lambda: NEXT), window=DAY)
    assert came == [NEXT, KEY]


def test_a_firewalls_refusal_says_nothing_about_the_next_key(connect, caplog):
    with (
        scripted((403, {}, b"<html>blocked</html>")) as (base_url, asked),
        pytest.raises(errors.MalformedResponseError, match="a firewall or proxy answered"),
    ):
        read(connect(base_url, next_api_key=lambda: NEXT), window=DAY)
    assert len(asked) == 1
    assert "next API key" not in caplog.text
