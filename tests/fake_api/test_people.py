"""People over time: joiners, leavers, deleted accounts, renamed addresses, service accounts, several organisations."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from onelens_claude.fake_api.roster import build_roster

from .helpers import NOW, Reader, served, spec


def actors(reader: Reader, day: date) -> dict[str, dict[str, Any]]:
    window = {
        "starting_at": f"{day}T00:00:00Z",
        "ending_at": f"{day + timedelta(days=1)}T00:00:00Z",
        "bucket_width": "1d",
    }
    return {row["actor"]["user_id"]: row["actor"] for row in reader.rows("user_usage_report", **window, limit=1000)}


def all_actors(reader: Reader) -> list[dict[str, Any]]:
    window = {"starting_at": "2026-10-20T00:00:00Z", "ending_at": "2026-11-20T00:00:00Z"}
    return [row["actor"] for row in reader.rows("user_usage_report", **window, limit=1000)]


def one_who(kind: str) -> Any:
    """Someone of the demo organisation whose account ends within the served weeks."""
    people = [person for person in build_roster(spec()) if getattr(person, kind) and person.left >= date(2026, 10, 5)]
    return next(person for person in people if getattr(person, kind) < NOW)


def last_use(reader: Reader, person: Any) -> date:
    day = person.left
    while person.user_id not in actors(reader, day):
        day -= timedelta(days=1)
    return day


def test_a_deleted_account_is_named_until_its_deletion_and_never_again(fresh: Reader) -> None:
    person = one_who("deleted_at")
    day = last_use(fresh, person)
    assert actors(fresh, day)[person.user_id] == {
        "type": "user_actor",
        "user_id": person.user_id,
        "email_address": None,
        "name": "Deleted User",
        "deleted": True,
    }
    (row,) = [row for row in fresh.rows("users", date=str(day), limit=1000) if row["user"]["id"] == person.user_id]
    assert row["user"]["email_address"] == ""
    fresh.control("now", now=(person.deleted_at - timedelta(minutes=1)).isoformat())
    window = {"starting_at": f"{day}T00:00:00Z", "ending_at": f"{day + timedelta(days=1)}T00:00:00Z"}
    before = {row["actor"]["user_id"]: row["actor"] for row in fresh.rows("user_usage_report", **window, limit=1000)}
    if person.user_id in before:
        assert before[person.user_id]["email_address"] == person.email
        assert before[person.user_id]["deleted"] is False


def test_a_member_who_left_is_deleted_but_keeps_the_address(fresh: Reader) -> None:
    person = one_who("departed_at")
    actor = actors(fresh, last_use(fresh, person))[person.user_id]
    assert actor["deleted"] is True
    assert actor["email_address"] == person.email
    assert actor["name"] == person.name


def test_exclude_deleted_users_thins_pages_and_keeps_has_more_honest(calm: Reader) -> None:
    window = {"starting_at": "2026-10-20T00:00:00Z", "ending_at": "2026-11-20T00:00:00Z"}
    every = calm.rows("user_cost_report", **window, limit=7)
    pages = calm.pages("user_cost_report", **window, limit=7, exclude_deleted_users="true")
    kept = [row for page in pages for row in page["data"]]
    assert kept == [row for row in every if not row["actor"]["deleted"]]
    assert len(kept) < len(every)
    assert min(len(page["data"]) for page in pages[:-1]) < 7
    flat = calm.rows("usage", **window, group_by=["actor"], limit=1000, exclude_deleted_users="true")
    assert not any((row["group"]["actor"] or {}).get("deleted") for row in flat)
    assert None in [row["group"]["actor"] for row in flat]


def test_names_and_addresses_may_be_missing(calm: Reader) -> None:
    found = all_actors(calm)
    assert any(actor["name"] is None and actor["email_address"] for actor in found)
    (service,) = [actor for actor in found if actor["email_address"] is None and not actor["deleted"]]
    assert service["name"] == "Claude Security"
    days = [date(2026, 11, 2) + timedelta(days=number) for number in range(10)]
    ids = {row["user"]["id"] for day in days for row in calm.rows("users", date=str(day), limit=1000)}
    assert service["user_id"] not in ids


def test_an_address_changes_for_every_day_at_once() -> None:
    person = next(person for person in build_roster(spec()) if person.renamed_at and person.left is None)
    moment = person.renamed_at
    day = (moment - timedelta(days=7)).date()
    with served(spec(first_day=date(2026, 1, 1)), now=moment - timedelta(hours=1)) as server:
        reader = Reader(server)
        while person.user_id not in actors(reader, day):
            day -= timedelta(days=1)
        assert actors(reader, day)[person.user_id]["email_address"] == person.email
        reader.control("now", now=moment.isoformat())
        assert actors(reader, day)[person.user_id]["email_address"] == person.new_email != person.email


def test_seats_change_hands_and_the_head_count_stays() -> None:
    people = [person for person in build_roster(spec()) if not person.is_service]
    for month in range(1, 13):
        day = date(2026, month, 15)
        held = [person for person in people if person.joined <= day and (person.left is None or day <= person.left)]
        assert 45 <= len(held) <= 60
    assert len({person.user_id for person in people}) == len(people) > 60
    assert any(person.joined > date(2026, 6, 1) for person in people)


def test_shared_people_have_one_id_in_two_organizations() -> None:
    one, two = (build_roster(spec(seed=seed, shared_users=2)) for seed in (1, 2))
    assert [person.user_id for person in one[:2]] == [person.user_id for person in two[:2]]
    assert [person.email for person in one[:2]] == [person.email for person in two[:2]]
    assert not {person.user_id for person in one[2:]} & {person.user_id for person in two[2:]}


def test_an_actor_never_shows_a_deleted_address_in_any_endpoint() -> None:
    people = [person for person in build_roster(spec()) if person.deleted_at and person.left >= date(2026, 9, 1)]
    after = max(person.deleted_at for person in people if person.deleted_at < datetime(2026, 12, 1, tzinfo=UTC))
    gone = [person.email for person in people if person.deleted_at <= after]
    with served(now=after + timedelta(days=1)) as server:
        reader = Reader(server)
        day = (after - timedelta(days=8)).date()
        window: dict[str, Any] = {
            "starting_at": f"{day - timedelta(days=20)}T00:00:00Z",
            "ending_at": f"{day}T00:00:00Z",
        }
        bodies = [
            reader.get("user_cost_report", **window, limit=1000).text,
            reader.get("usage", **window, group_by=["actor"], limit=1000).text,
            reader.get("users", starting_date=str(day - timedelta(days=20)), ending_date=str(day), limit=1000).text,
            reader.get("apps/chat/projects", date=str(day), limit=1000).text,
        ]
        assert gone
        assert not [email for email in gone if any(email in body for body in bodies)]
