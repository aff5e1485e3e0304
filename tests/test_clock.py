"""The clock is UTC, and ONELENS_NOW replaces it."""

from __future__ import annotations

import datetime as dt

import pytest

from onelens_claude.clock import naive_utc, utc_now
from onelens_claude.errors import SettingsError


def test_without_the_variable_it_is_the_machines_utc_time():
    assert abs(utc_now() - dt.datetime.now(dt.UTC)) < dt.timedelta(seconds=5)
    assert utc_now().tzinfo is dt.UTC


@pytest.mark.parametrize("text", ["2026-11-20T12:00:00Z", "2026-11-20T13:30:00+01:30", "2026-11-20T12:00:00.000Z"])
def test_the_variable_replaces_the_time_whatever_its_offset(set_now, text):
    set_now(text)
    assert utc_now() == dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
    assert naive_utc(utc_now()).isoformat() == "2026-11-20T12:00:00"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("yesterday", "is not RFC 3339"),
        ("2026-11-20", "has no UTC offset"),
        ("2026-11-20T12:00:00", "has no UTC offset"),
        ("2026-02-30T12:00:00Z", "is not RFC 3339"),
    ],
)
def test_what_is_no_moment_is_refused_with_the_variables_name(set_now, text, reason):
    set_now(text)
    with pytest.raises(SettingsError, match=f"ONELENS_NOW: '{text}' {reason}"):
        utc_now()
