"""Who works there: people, their seats, their groups, and how the API names them at a given moment.

What is here: identities over time (joined, renamed, departed, deleted) and what kind of user someone is.
What to add here: another way in which people or seats change.
What must not go here: what they do on a day (generator.py, activity.py).

Seats change hands at dates that depend on the seed alone, about every 25 days in an organisation of 60, in turn by a
deleted account and by a departure. So every window of a few weeks has both, wherever it lies.
"""

# ruff: noqa: PLR2004  -- a roster is made of chosen shares and chances

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from onelens_claude.fake_api.spec import EARLIEST_DAY, OrganizationSpec

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_FIRST = [
    "Ada",
    "Ben",
    "Chloé",
    "Dai",
    "Emeka",
    "Fatima",
    "Grace",
    "Hiro",
    "Ines",
    "Jonas",
    "Katya",
    "Liam",
    "Mei",
    "Noor",
    "Olga",
    "Priya",
    "Quinn",
    "Rosa",
    "Sven",
    "Tariq",
]
_LAST = [
    "Adler",
    "Brown",
    "Costa",
    "Dubois",
    "Evans",
    "Fischer",
    "García",
    "Haddad",
    "Ito",
    "Jansen",
    "Kowalski",
    "López",
    "Müller",
    "Nguyen",
    "Okafor",
    "Patel",
]
_HORIZON_DAYS = 3 * 365
PERSONAS = ("developer", "analyst", "writer", "designer", "light")
_PERSONA_WEIGHTS = (34, 22, 20, 8, 16)


@dataclass(frozen=True)
class Person:
    """One account. `joined`/`left` bound its activity (both inclusive); the moments change how it is shown."""

    index: int
    user_id: str
    name: str | None
    email: str | None
    joined: date
    left: date | None
    persona: str
    spend: float
    presence: float
    likes_fast: bool
    wants_us: bool
    slack_id: str
    groups: tuple[int, ...]
    departed_at: datetime | None = None
    deleted_at: datetime | None = None
    renamed_at: datetime | None = None
    new_email: str | None = None
    is_service: bool = False

    def is_deleted_account(self, now: datetime) -> bool:
        """Tell whether the account itself is gone by `now`."""
        return self.deleted_at is not None and now >= self.deleted_at

    def address(self, now: datetime) -> str | None:
        """Return the address the API shows at `now` (null once the account is deleted)."""
        if self.is_deleted_account(now):
            return None
        if self.renamed_at is not None and now >= self.renamed_at:
            return self.new_email
        return self.email

    def actor(self, now: datetime) -> dict[str, object]:
        """Return the `user_actor` object as the API shows it at `now`."""
        gone = self.is_deleted_account(now)
        left = self.departed_at is not None and now >= self.departed_at
        return {
            "type": "user_actor",
            "user_id": self.user_id,
            "email_address": self.address(now),
            "name": "Deleted User" if gone else self.name,
            "deleted": gone or left,
        }


def tagged_id(prefix: str, *parts: object) -> str:
    """Make a stable id such as `user_01…` made from its parts."""
    number = int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:18])
    text = ""
    for _ in range(22):
        number, digit = divmod(number, len(_ALPHABET))
        text += _ALPHABET[digit]
    return f"{prefix}_01{text}"


def _make(spec: OrganizationSpec, index: int, slot: int, generation: int, joined: date) -> Person:
    shared = generation == 0 and slot < spec.shared_users
    namespace: object = "shared" if shared else spec.seed
    dice = random.Random(f"person/{namespace}/{slot}/{generation}")  # noqa: S311
    first, last = dice.choice(_FIRST), dice.choice(_LAST)
    domain = spec.email_domain or f"org{spec.seed}.example.com"
    local = f"{first}.{last}.{slot}".lower().translate(str.maketrans("éíóöüá", "eiooua"))
    if generation:
        local += f"-{generation}"
    email = f"{local}@{'shared.example.com' if shared else domain}"
    persona = dice.choices(PERSONAS, _PERSONA_WEIGHTS)[0]
    spend = 0.12 if persona == "light" else min(0.25 * dice.paretovariate(1.15), 40.0)
    groups = tuple(sorted(dice.sample(range(6), dice.choice((0, 1, 1, 1, 2, 3)))))
    renamed = slot % 23 == 4 and generation == 0
    renamed_at = None
    if renamed:
        renamed_day = EARLIEST_DAY + timedelta(days=20 + (slot * 37 + spec.seed * 11) % 330)
        renamed_at = datetime.combine(renamed_day, time(9, 30), tzinfo=UTC)
    return Person(
        index=index,
        user_id=tagged_id("user", namespace, slot, generation),
        name=None if slot % 17 == 7 else f"{first} {last}",
        email=email,
        joined=joined,
        left=None,
        persona=persona,
        spend=spend,
        presence=dice.uniform(0.35, 0.98) if persona != "light" else 0.2,
        likes_fast=dice.random() < 0.25,
        wants_us=dice.random() < 0.2,
        slack_id=tagged_id("U", "slack", namespace, slot, generation).replace("_", "").upper()[:11],
        groups=groups,
        renamed_at=renamed_at,
        new_email=f"married.{email}" if renamed else None,
    )


def build_roster(spec: OrganizationSpec) -> tuple[Person, ...]:
    """Return everyone who ever holds a seat, in a fixed order; people of one seat never overlap in time."""
    dice = random.Random(f"roster/{spec.seed}/{spec.users}")  # noqa: S311
    current: list[Person] = []
    for slot in range(spec.users):
        late = slot % 6 == 5
        joined = EARLIEST_DAY + timedelta(days=dice.randrange(5, 360)) if late else EARLIEST_DAY - timedelta(days=30)
        current.append(_make(spec, slot, slot, 0, joined))
    people = list(current)
    step = min(max(1500 // spec.users, 2), 400)
    generations = [0] * spec.users
    for turn, offset in enumerate(range(10, _HORIZON_DAYS, step)):
        slot = dice.randrange(spec.users)
        last_day = EARLIEST_DAY + timedelta(days=offset + dice.randrange(step // 2 + 1))
        holder = current[slot]
        if spec.users < 2 or last_day <= holder.joined + timedelta(days=5) or slot < spec.shared_users:
            continue
        gone = datetime.combine(last_day + timedelta(days=dice.randrange(1, 6)), time(11, 37), tzinfo=UTC)
        gone_fields = {"deleted_at": gone} if turn % 2 == 0 else {"departed_at": gone}
        people[holder.index] = replace(holder, left=last_day, **gone_fields)  # type: ignore[arg-type]
        generations[slot] += 1
        successor = _make(spec, len(people), slot, generations[slot], last_day + timedelta(days=dice.randrange(1, 15)))
        current[slot] = successor
        people.append(successor)
    if spec.users >= 10:
        people.append(_service_account(spec, len(people)))
    return tuple(people)


def _service_account(spec: OrganizationSpec, index: int) -> Person:
    return Person(
        index=index,
        user_id=tagged_id("user", spec.seed, "service"),
        name="Claude Security",
        email=None,
        joined=EARLIEST_DAY - timedelta(days=30),
        left=None,
        persona="developer",
        spend=0.3,
        presence=0.5,
        likes_fast=False,
        wants_us=False,
        slack_id="",
        groups=(),
        is_service=True,
    )


def late_arrival(spec: OrganizationSpec, index: int, day: date) -> Person:
    """Make the person a `new_user` revision of that day adds."""
    made = _make(spec, index, 10_000 + day.toordinal(), 0, day)
    return replace(made, left=day, persona="developer", groups=(), renamed_at=None, new_email=None)
