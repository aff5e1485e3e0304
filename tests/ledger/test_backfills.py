"""A backfill is known again by what was typed, also tomorrow, until it brought everything."""

from __future__ import annotations

import datetime as dt

import pytest

from onelens_claude.cli.ranges import backfill_range, in_words
from onelens_claude.errors import SettingsError
from onelens_claude.ledger.backfills import begin, finish, unfinished
from onelens_claude.ledger.planning import PlannedEndpoint


def test_the_same_command_goes_on_also_on_the_next_day(tmp_path, set_now):
    set_now("2026-11-20T12:00:00Z")
    first, goes_on = begin(tmp_path, None, None, "acme")
    assert not goes_on
    set_now("2026-11-21T12:00:00Z")
    assert begin(tmp_path, None, None, "acme") == (first, True)
    assert first.command == "onelens-claude backfill --org acme"


def test_other_options_are_another_backfill_and_each_is_finished_for_itself(tmp_path, set_now):
    set_now("2026-11-20T12:00:00Z")
    asked = [(None, None, None), (None, None, "acme"), ("2026-11-01", None, None), (None, "2026-11-01", None)]
    begun = [begin(tmp_path, *options) for options in asked]
    assert [goes_on for _, goes_on in begun] == [False] * 4
    finish(tmp_path, begun[0][0])
    assert {one.command for one in unfinished(tmp_path)} == {one.command for one, _ in begun[1:]}
    assert begin(tmp_path, None, None, None)[1] is False


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"began_at": 1}', '{"from": "", "to": "", "organization": ""}'])
def test_a_damaged_note_is_begun_anew(tmp_path, set_now, content):
    set_now("2026-11-20T12:00:00Z")
    backfill, _ = begin(tmp_path, None, None, None)
    (path,) = tmp_path.iterdir()
    path.write_text(content)
    assert unfinished(tmp_path) == []
    assert begin(tmp_path, None, None, None) == (backfill, False)


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="file: cannot be written: File exists"):
        begin(tmp_path / "file", None, None, None)


@pytest.mark.parametrize(
    ("now", "start", "first"),
    [
        ("2026-11-20T12:00:00Z", "2026-01-01", "2026-01-01"),
        ("2026-11-20T12:00:00Z", "2026-05-01", "2026-05-01"),
        ("2027-06-01T12:00:00Z", "2026-05-01", "2026-06-01"),
        ("2026-11-20T12:00:00Z", "2027-01-01", "2026-11-19"),
    ],
)
def test_by_default_it_begins_at_the_later_of_what_the_api_holds_and_the_settings(
    write_settings, set_now, now, start, first
):
    set_now(now)
    settings = write_settings({"acme": ("key", "http://127.0.0.1:1")})
    late = settings.organizations[0].model_copy(update={"backfill_start": dt.date.fromisoformat(start)})
    settings = settings.model_copy(update={"organizations": (late,)})
    days = backfill_range(settings, None, None, None)
    assert str(days[0]) == first


def test_a_plan_in_words_is_the_slowest_organisations_time():
    def planned(organization: str, requests: int, minutes: float, *, is_exact: bool) -> PlannedEndpoint:
        return PlannedEndpoint(organization, "users", requests, requests, is_exact, 0, minutes)

    acme, beta = planned("acme", 100, 1.7, is_exact=True), planned("beta", 300, 5.2, is_exact=True)
    assert in_words([acme, beta]) == "400 requests, 5.2 minutes"
    assert in_words([acme, planned("acme", 10, 0.2, is_exact=False)]) == "at least 110 requests, at least 1.9 minutes"
    assert in_words([planned("acme", 10, 0.2, is_exact=True)]) == "10 requests"
