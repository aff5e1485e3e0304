"""What active people did on a day, beyond tokens: sessions, messages, skills, connectors, projects, artifacts.

What is here: the base records that the engagement endpoints and the truth both read, drawn per (seed, day, user).
What to add here: another thing that people do on a day.
What must not go here: adding them up (engagement.py) and the shape of rows.

Sessions, conversations and artifacts belong to one user and one day, so they add over users; people, skills and
connectors do not, which is why a distinct count of users must be recomputed for every scope.
"""

# ruff: noqa: PLR2004  -- a generator is made of chosen shares and chances

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from onelens_claude.fake_api.events import PRODUCTS
from onelens_claude.fake_api.roster import Person, tagged_id
from onelens_claude.fake_api.spec import EARLIEST_DAY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onelens_claude.fake_api.organization import Organization, Snapshot

OFFICE_APPS = ("excel", "outlook", "powerpoint", "word")
SURFACES = ("chat", "claude_code", "cowork", *OFFICE_APPS, "design", "science")
EDIT_TOOLS = ("edit_tool", "multi_edit_tool", "notebook_edit_tool", "write_tool")
ARTIFACT_TYPES = ("text/markdown", "application/vnd.ant.react", "image/svg+xml", "text/html", "other")
WORK_ARTIFACTS_SINCE = date(2026, 8, 17)

SKILLS: tuple[tuple[str, str | None, str | None], ...] = (
    ("docx", None, "public"),
    ("pptx", None, "public"),
    ("xlsx", None, "public"),
    ("pdf", None, "public"),
    ("brand-guidelines", None, "organization"),
    ("quarterly-report", None, "organization"),
    ("code-review", None, None),
    ("incident-notes", None, "private"),
    ("skill_01J8Q4Z6Y2", "Contract summary", "organization"),
    ("skill_01K1PRIVATE", None, "private"),
)
CONNECTORS: tuple[tuple[str, str | None], ...] = (
    ("github", None),
    ("google_drive", None),
    ("gmail", None),
    ("slack", None),
    ("jira", None),
    ("notion", None),
    ("mcpsrv_01H4W9", "Warehouse SQL"),
)
PLUGINS: tuple[tuple[str, str | None], ...] = (
    ("serena", "serena@claude-plugins-official"),
    ("code-simplifier", "code-simplifier@claude-plugins-official"),
    ("data-tools", None),
    ("legal-review", "legal-review@acme"),
)


@dataclass(frozen=True)
class Use:
    """Use of one skill, connector or plugin on one surface by one user on one day."""

    name: str
    surface: str
    sessions: int
    calls: int
    writes: int = 0
    unclassified: int = 0
    managed: bool = False


@dataclass
class Activity:
    """One active user's day. `sessions`, `messages` are per surface; `counters` holds what stands alone."""

    person: Person
    sessions: dict[str, int]
    messages: dict[str, int]
    counters: dict[str, int]
    skills: list[Use] = field(default_factory=list)
    connectors: list[Use] = field(default_factory=list)
    plugins: list[Use] = field(default_factory=list)
    projects: dict[int, tuple[int, int]] = field(default_factory=dict)
    artifacts: list[tuple[str, str, bool, bool]] = field(default_factory=list)
    tools: dict[str, tuple[int, int]] = field(default_factory=dict)
    tag_messages: int = 0
    listed_units: int = 0


@dataclass(frozen=True)
class Project:
    """A chat project; its name changes once, and its creator may be gone."""

    project_id: str
    first_name: str
    second_name: str
    renamed_at: datetime
    created_at: datetime | None
    creator: int | None

    def name(self, now: datetime) -> str:
        """Return the name as the API shows it at `now`."""
        return self.first_name if now < self.renamed_at else self.second_name


_TOPICS = [
    "Launch",
    "Pricing",
    "Onboarding",
    "Audit",
    "Roadmap",
    "Hiring",
    "Migration",
    "Research",
    "Support",
    "Budget",
]


def build_projects(organization: Organization) -> tuple[Project, ...]:
    """Make the organisation's projects from its seed; every fifth was created by an account since deleted."""
    spec = organization.spec
    dice = random.Random(f"projects/{spec.seed}")  # noqa: S311
    gone = [person.index for person in organization.people if person.deleted_at is not None]
    projects = []
    for number in range(3 + spec.users // 6):
        creator: int | None = dice.randrange(spec.users)
        if number % 5 == 1 and gone:
            creator = gone[number % len(gone)]
        unknown = number % 9 == 8
        created = datetime.combine(EARLIEST_DAY + timedelta(days=dice.randrange(-90, 60)), time(8, 15), tzinfo=UTC)
        renamed = datetime.combine(EARLIEST_DAY + timedelta(days=(number * 13 + 9) % 330), time(12), tzinfo=UTC)
        first = f"{dice.choice(_TOPICS)} {number}"
        projects.append(
            Project(
                project_id=tagged_id("claude_proj", spec.seed, number),
                first_name=first,
                second_name=f"{first} (renamed)" if number % 2 == 0 else first,
                renamed_at=renamed,
                created_at=None if unknown else created,
                creator=None if unknown else creator,
            )
        )
    return tuple(projects)


def day_activities(
    organization: Organization, projects: tuple[Project, ...], day: date, snapshot: Snapshot
) -> list[Activity]:
    """Return the day of everyone who used tokens, in order of user id (service accounts are no users)."""
    priced = organization.full_day(day, snapshot)
    events = priced.events
    requests: dict[int, dict[str, int]] = {}
    listed: dict[int, int] = {}
    searches: dict[int, int] = {}
    rows = zip(
        events.person.tolist(),
        events.dims[:, 0].tolist(),
        events.counts.tolist(),
        priced.listed[:, :5].tolist(),
        strict=True,
    )
    for person, product, counts, units in rows:
        if person < 0 or product == 0:
            continue
        mine = requests.setdefault(person, {})
        mine[PRODUCTS[product - 1]] = mine.get(PRODUCTS[product - 1], 0) + counts[7]
        listed[person] = listed.get(person, 0) + sum(units)
        searches[person] = searches.get(person, 0) + counts[5]
    moves = [organization.revisions[number] for number in organization.applied(day, snapshot)]
    percent = sum({"engagement_up": move.percent, "engagement_down": -move.percent}.get(move.kind, 0) for move in moves)
    activities = []
    for index in sorted(requests, key=lambda number: organization.people[number].user_id):
        person_record = organization.people[index]
        if person_record.is_service:
            continue
        activity = _draw(organization, projects, person_record, day, requests[index])
        activity.counters["web_search_count"] = searches[index]
        activity.listed_units = listed[index]
        if percent:
            activity.messages = {
                name: max(count * (100 + percent) // 100, 1) for name, count in activity.messages.items()
            }
        activities.append(activity)
    return activities


def uses_science(organization: Organization, person: Person, day: date) -> bool:
    """Tell whether an active person opens Claude Science that day (it costs no tokens of its own)."""
    if person.persona != "analyst":
        return False
    return random.Random(f"science/{organization.spec.seed}/{day}/{person.user_id}").random() < 0.15  # noqa: S311


def _draw(
    organization: Organization,
    projects: tuple[Project, ...],
    person: Person,
    day: date,
    requests: Mapping[str, int],
) -> Activity:
    dice = random.Random(f"activity/{organization.spec.seed}/{day}/{person.user_id}")  # noqa: S311
    sessions: dict[str, int] = {}
    messages: dict[str, int] = {}

    def open_surface(surface: str, count: int) -> None:
        messages[surface] = max(count, 1)
        sessions[surface] = 1 + min(max(count, 1) - 1, dice.randrange(0, 6))

    for product, surface in (
        ("chat", "chat"),
        ("claude_code", "claude_code"),
        ("cowork", "cowork"),
        ("claude_design", "design"),
    ):
        if product in requests:
            open_surface(surface, requests[product])
    if "office_agent" in requests:
        for app in dice.sample(OFFICE_APPS, dice.randrange(1, 4)):
            open_surface(app, requests["office_agent"] // 2)
    if uses_science(organization, person, day):
        open_surface("science", dice.randrange(1, 12))
    activity = Activity(person, sessions, messages, dict.fromkeys(("web_search_count",), 0))
    for surface in sessions:
        _draw_uses(dice, activity, surface)
    _draw_chat(dice, activity, projects)
    _draw_code(dice, activity, day)
    activity.tag_messages = requests.get("claude-tag", 0)
    return activity


def _draw_uses(dice: random.Random, activity: Activity, surface: str) -> None:
    sessions = activity.sessions[surface]
    if surface != "design":
        for name, _display, _share in dice.sample(SKILLS, dice.choice((0, 0, 1, 2))):
            activity.skills.append(Use(name, surface, dice.randint(1, sessions), dice.randint(1, 5) + sessions))
    if surface not in {"design", "science"}:
        for name, _display in dice.sample(CONNECTORS, dice.choice((0, 1, 1, 3))):
            calls = dice.randint(1, 8) + sessions
            writes = dice.randrange(0, calls + 1) // 2
            unclassified = dice.randrange(0, calls - writes + 1) // 2
            managed = name == "google_drive"
            activity.connectors.append(
                Use(name, surface, dice.randint(1, sessions), calls, writes, unclassified, managed)
            )
    if surface in {"claude_code", "cowork"}:
        for name, _plugin in dice.sample(PLUGINS, dice.choice((0, 0, 1, 2))):
            activity.plugins.append(Use(name, surface, dice.randint(1, sessions), dice.randint(1, 4) + sessions))


def _draw_chat(dice: random.Random, activity: Activity, projects: tuple[Project, ...]) -> None:
    count = activity.sessions.get("chat", 0)
    counters = activity.counters
    counters["files_uploaded"] = dice.randrange(0, 4) if count else 0
    counters["projects_created"] = int(dice.random() < 0.04) if count else 0
    counters["shared_artifacts_viewed"] = dice.randrange(0, 3) if count else 0
    counters["shared_conversations_viewed"] = dice.randrange(0, 3) if count else 0
    counters["thinking_messages"] = activity.messages.get("chat", 0) * dice.randrange(0, 60) // 100
    if count:
        for number in dice.sample(range(len(projects)), min(dice.choice((0, 0, 1, 2)), len(projects), count)):
            activity.projects[number] = (1, max(activity.messages["chat"] // count, 1))
        for _ in range(dice.choice((0, 0, 0, 1, 2))):
            shared = dice.random() < 0.3
            activity.artifacts.append(("chat", dice.choice(ARTIFACT_TYPES), shared, shared and dice.random() < 0.5))


def _draw_code(dice: random.Random, activity: Activity, day: date) -> None:
    counters = activity.counters
    code, work = activity.sessions.get("claude_code", 0), activity.sessions.get("cowork", 0)
    counters["commits"] = dice.randrange(0, 3 * code + 1) if code else 0
    counters["pull_requests"] = dice.randrange(0, code + 1) if code else 0
    counters["lines_added"] = dice.randrange(0, 400 * code) if code else 0
    counters["lines_removed"] = dice.randrange(0, 150 * code) if code else 0
    for tool, most in zip(EDIT_TOOLS, (40, 0, 3, 12), strict=True):
        activity.tools[tool] = (
            (dice.randrange(0, most * code + 1), dice.randrange(0, most * code // 5 + 1)) if code else (0, 0)
        )
    edits = {
        tool: dice.randrange(0, most * work + 1) if work else 0
        for tool, most in zip(EDIT_TOOLS, (9, 0, 2, 5), strict=True)
    }
    counters |= {f"cowork_{tool}": edits[tool] for tool in EDIT_TOOLS}
    counters["cowork_edit_sessions"] = min(work, sum(edits.values()))
    counters["cowork_actions"] = activity.messages.get("cowork", 0) * 3
    counters["cowork_dispatch_turns"] = dice.randrange(0, 5) if work else 0
    counters["design_projects_created"] = int(dice.random() < 0.2) if "design" in activity.sessions else 0
    counters["design_projects_used"] = dice.randrange(1, 3) if "design" in activity.sessions else 0
    counters["science_delegations"] = dice.randrange(0, 4) if "science" in activity.sessions else 0
    counters["science_jobs"] = dice.randrange(0, 2) if "science" in activity.sessions else 0
    if day >= WORK_ARTIFACTS_SINCE:
        for surface, sessions in (("claude_code", code), ("cowork", work)):
            if sessions and dice.random() < 0.3:
                activity.artifacts.append((surface, "text/html", dice.random() < 0.4, False))
