"""What a served organisation is: its settings, its revisions, and how moments are read.

What is here: plain frozen data that callers pass in, and the clock helpers every module shares.
What to add here: another setting of a served organisation.
What must not go here: anything that generates rows or answers requests.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

Clock = Callable[[], datetime]

EARLIEST_DAY = date(2026, 1, 1)
"""The oldest day the API has."""

DEMO_NAMES = ("Acme Corp", "Globex", "Initech", "Umbrella", "Stark")
DEMO_KEY = "sk-ant-api01-demo"
"""The key the local server takes when none is given."""

ANALYTICS_SCOPE = "read:analytics"

FEATURES = frozenset(
    {
        "per_product_summaries",
        "claude_tag",
        "file_edit_metrics",
        "cowork_plugins",
        "last_activity",
        "skill_invocations",
        "skill_money",
        "connector_calls",
        "managed_auth",
        "unified",
    }
)
"""Every optional block of the engagement endpoints; one that is off is absent or null, as documented."""

DEFAULT_FEATURES = FEATURES - {"unified"}
_SECOND_LACKS = frozenset({"claude_tag", "file_edit_metrics", "managed_auth"})

RevisionKind = Literal["up", "down", "empty", "new_user", "runaway", "engagement_up", "engagement_down"]


@dataclass(frozen=True)
class Revision:
    """A change of one day's figures that shows from `effective_at` on (at once when None).

    `up` and `down` scale the tokens (and so the cost) of the day, of one user or of one product;
    `empty` takes every row away; `new_user` adds rows of a user nobody had seen that day;
    `runaway` lets an agent of `user_id` spend `usd_per_hour` (list price) from `from_hour` (UTC) until midnight;
    `engagement_up` / `engagement_down` move the counters of the engagement endpoints by some percent.
    `percent` is the size of an up or down move.
    """

    day: date
    kind: RevisionKind
    effective_at: datetime | None = None
    percent: int = 20
    user_id: str | None = None
    product: str | None = None
    from_hour: int = 0
    usd_per_hour: int = 40


@dataclass(frozen=True)
class OrganizationSpec:
    """One organisation to serve. Its rows depend on the seed, users, plan, kind and the flags; never on the clock.

    `first_day`/`last_day` (both inclusive; `last_day` None follows the clock) only cut which days have data.
    `users` is the head count: seats change hands over the year, so there are more people than seats.
    `engagement_lag_days` 1 means day D is there at 10:00 UTC of D+1; 4 means of D+4.
    `cost_lag` is how far `data_refreshed_at` lies behind the clock.
    `wide` adds that many model names (True: 130), so that one dimension alone passes the cap of 100 groups.
    `regions` adds that many inference regions, priced as global, so that one product and model alone passes the cap.
    `service_tiers` adds API traffic at standard and priority tier (priority: tokens but no cost).
    `shared_users`: the first n people are the same (id and address) in every organisation that says so.
    """

    api_key: str = DEMO_KEY
    seed: int = 1
    users: int = 60
    first_day: date = EARLIEST_DAY
    last_day: date | None = None
    plan: Literal["usage", "seat"] = "usage"
    name: str = "Acme Corp"
    organization_id: str | None = None
    kind: Literal["enterprise", "platform"] = "enterprise"
    email_domain: str | None = None
    scopes: frozenset[str] = frozenset({ANALYTICS_SCOPE})
    access_enabled: bool = True
    engagement_lag_days: int = 1
    cost_lag: timedelta = timedelta(hours=4)
    features: frozenset[str] = DEFAULT_FEATURES
    wide: int = 0
    regions: int = 0
    service_tiers: bool = False
    shared_users: int = 0
    revisions: tuple[Revision, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what could not be served, with the field's name."""
        if self.users < 1:
            raise ValueError("users: must be at least 1")
        if self.last_day is not None and self.last_day < self.first_day:
            raise ValueError("last_day: lies before first_day")
        if self.engagement_lag_days < 1:
            raise ValueError("engagement_lag_days: must be at least 1")
        unknown = self.features - FEATURES
        if unknown:
            raise ValueError(f"features: unknown {', '.join(sorted(unknown))}")


def demo_organizations(
    count: int,
    *,
    key: str = DEMO_KEY,
    seed: int = 1,
    users: int = 60,
    first_day: date = EARLIEST_DAY,
    last_day: date | None = None,
    plan: Literal["usage", "seat"] | None = None,
    engagement_lag_days: int = 1,
) -> list[OrganizationSpec]:
    """Make `count` organisations: seeds count up, the first has the key itself, the next `<key>-2`, `<key>-3`, ...

    Without a plan, every second one is seat-based; every second one also lacks some
    optional blocks. The first two people are the same everywhere when there are several.
    """
    return [
        OrganizationSpec(
            api_key=key if number == 0 else f"{key}-{number + 1}",
            seed=seed + number,
            users=users,
            first_day=first_day,
            last_day=last_day,
            plan=plan or ("seat" if number % 2 else "usage"),
            name=DEMO_NAMES[number % len(DEMO_NAMES)] + ("" if number < len(DEMO_NAMES) else f" {number}"),
            email_domain=re.sub(r"[^a-z0-9]", "", DEMO_NAMES[number % len(DEMO_NAMES)].lower()) + ".example.com",
            engagement_lag_days=engagement_lag_days,
            shared_users=min(2, users) if count > 1 else 0,
            features=DEFAULT_FEATURES - _SECOND_LACKS if number % 2 else DEFAULT_FEATURES,
        )
        for number in range(count)
    ]


def parse_moment(text: str) -> datetime:
    """Read an RFC 3339 moment with a zone as UTC; ValueError otherwise."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or "T" not in text.upper():
        raise ValueError(f"{text!r} is not an RFC 3339 timestamp with a time zone")
    return moment.astimezone(UTC)


def format_moment(moment: datetime) -> str:
    """Write a moment as the API does: UTC with a Z, fractions only when there are some."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def midnight(day: date) -> datetime:
    """Return the first moment of a UTC day."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def system_clock() -> datetime:
    """Return the time now: `ONELENS_NOW` when set, else the machine's UTC clock."""
    fixed = os.environ.get("ONELENS_NOW")
    return parse_moment(fixed) if fixed else datetime.now(UTC)
