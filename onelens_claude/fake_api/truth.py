"""The truth: exact totals straight from the base events, by a path that shares nothing with the reports.

What is here: plain `Decimal` sums with a price table of its own, and counts by simple loops.
What to add here: another topic or sum to compare with.
What must not go here: anything the reports use to add up (grouping.py, pricing.py), HTTP.

Served under `/truth` (outside the API: no rate limit, no anthropic-version; needs the organisation's key; the key
chooses the organisation). All take `from` and `to` (dates, both inclusive; default: the first day to the clock's day).
Amounts are decimal strings in cents, exact, to be compared as decimals; null dimensions are the API's nulls.
What is true is what a complete reader sees at the server's clock: revisions in effect, nothing past the stamp.

    /truth             {"organization_id", "name", "plan", "now", "data_refreshed_at", "latest_engagement_day",
                        "from", "to", "amount", "list_amount", "total_tokens", "requests"}
    /truth/costs       {..., "by": [...], "rows": [{<by>..., "amount", "list_amount", "quantity", "requests"}]}
                       by=day,user_id,...: any of COST_KEYS, default all (the grain of fct_claude_costs);
                       quantity is tokens, searches or execution spans; requests only without cost_type/token_type
    /truth/usage       {..., "by": [...], "rows": [{<by>..., "uncached_input_tokens", "cache_read_input_tokens",
                        "cache_creation_5m_input_tokens", "cache_creation_1h_input_tokens", "output_tokens",
                        "total_tokens", "web_search_requests", "requests"}]}; by: any of USAGE_KEYS
    /truth/days        {..., "rows": [{"day", "amount", "list_amount", "user_amount", "user_list_amount",
                        "unattributed_amount", "unattributed_list_amount", "total_tokens", "user_total_tokens",
                        "requests", "users", "groups", "assigned_seat_count", "pending_invite_count",
                        "daily_active_user_count", "engagement_available"}]}; groups: distinct groups at full grain
    /truth/users       {..., "rows": [{"user_id", "email_address", "name", "deleted", "account_deleted"}]}: everyone
                       with cost or usage in the range, as shown at the server's clock
    /truth/engagement  {..., "rows": [{"day", "daily_active_user_count", "weekly_active_user_count",
                        "monthly_active_user_count", "assigned_seat_count", "pending_invite_count",
                        "users": {user_id: {"message_count": {surface: n}, "session_count": {surface: n},
                        "web_search_count", "commit_count", "pull_request_count", "lines_added", "lines_removed"}},
                        "projects": {id: {"users", "conversations", "messages", "name"}},
                        "skills": {name: {"users", "invocations"}}, "connectors": {name: {"users", "calls"}},
                        "plugins": {name: {"users", "invocations"}}}]}, available days only
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Context, Decimal, Inexact, localcontext
from typing import TYPE_CHECKING, Any

from onelens_claude.fake_api.events import DIMENSIONS
from onelens_claude.fake_api.spec import format_moment, midnight

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from onelens_claude.fake_api.engagement import Engagement
    from onelens_claude.fake_api.organization import Organization, Snapshot

_DIMENSION_KEYS = ("product", "model", "context_window", "inference_geo", "speed")
COST_KEYS = ("day", "user_id", *_DIMENSION_KEYS, "cost_type", "token_type")
USAGE_KEYS = ("day", "user_id", *_DIMENSION_KEYS)
EXTRA_KEYS = ("slack_channel_id", "claude_tag_category", "claude_tag_user_id", "service_tier")
TOKEN_FIELDS = (
    "uncached_input_tokens",
    "cache_read_input_tokens",
    "cache_creation_5m_input_tokens",
    "cache_creation_1h_input_tokens",
    "output_tokens",
)
_TOKEN_TYPES = (
    "uncached_input_tokens",
    "cache_read_input_tokens",
    "cache_creation.ephemeral_5m_input_tokens",
    "cache_creation.ephemeral_1h_input_tokens",
    "output_tokens",
)
_EXACT = Context(prec=60, traps=[Inexact])
_DOLLARS = {"opus": ("5", "25"), "sonnet": ("3", "15"), "haiku": ("1", "5")}
_CACHE = ("1", "0.1", "1.25", "2")


@dataclass(frozen=True)
class Fact:
    """One event in words: its keys, its eight counts, its seven list and paid amounts in cents."""

    keys: Mapping[str, Any]
    counts: Sequence[int]
    listed: Sequence[Decimal]
    paid: Sequence[Decimal]


def cents_per_token(model: str | None, context: str | None, geo: str | None, speed: str | None) -> tuple[Decimal, ...]:
    """Return list prices in cents per token of the five token types, from the published price list."""
    if model is None:
        return (Decimal(0),) * 5
    family = next(name for name in _DOLLARS if f"-{name}-" in model)
    dollars_in, dollars_out = (Decimal(text) for text in _DOLLARS[family])
    factor = Decimal(6 if speed == "fast" else 1) * Decimal("1.1" if geo == "us" else "1")
    long_in, long_out = (Decimal(2), Decimal("1.5")) if context == "200k-1M" else (Decimal(1), Decimal(1))
    cents = Decimal(100) / Decimal(1_000_000)
    inputs = [dollars_in * Decimal(share) * long_in * factor * cents for share in _CACHE]
    return (*inputs, dollars_out * long_out * factor * cents)


def facts(organization: Organization, first: date, last: date, snapshot: Snapshot) -> Iterator[Fact]:
    """Yield every visible event of a range of days (both inclusive)."""
    events = organization.window(midnight(first), midnight(last + timedelta(days=1)), snapshot).events
    prices: dict[tuple[Any, ...], tuple[Decimal, ...]] = {}
    columns = (events.day, events.person, events.dims, events.counts, events.factors, events.billable)
    people = organization.people
    with localcontext(_EXACT):
        for day, person, dims, counts, factors, billable in zip(*(column.tolist() for column in columns), strict=True):
            words = {name: organization.vocabularies[name][code] for name, code in zip(DIMENSIONS, dims, strict=True)}
            rate_key = (words["model"], words["context_window"], words["inference_geo"], words["speed"])
            if rate_key not in prices:
                prices[rate_key] = cents_per_token(*rate_key)
            listed = [price * count for price, count in zip(prices[rate_key], counts[:5], strict=True)]
            listed += [Decimal(counts[5]), Decimal("0.4375") * counts[6]]
            listed = [amount * billable for amount in listed]
            shares = [Decimal(factors[0]) / 100_000] * 5 + [
                Decimal(factors[1]) / 100_000,
                Decimal(factors[2]) / 100_000,
            ]
            paid = [amount * share for amount, share in zip(listed, shares, strict=True)]
            keys = {
                "day": date.fromordinal(day).isoformat(),
                "user_id": people[person].user_id if person >= 0 else None,
            }
            yield Fact(keys | words, counts, listed, paid)


def _components(fact: Fact) -> Iterator[tuple[str, str | None, int, Decimal, Decimal]]:
    for number, token_type in enumerate(_TOKEN_TYPES):
        yield "tokens", token_type, fact.counts[number], fact.paid[number], fact.listed[number]
    yield "web_search", None, fact.counts[5], fact.paid[5], fact.listed[5]
    yield "code_execution", None, fact.counts[6], fact.paid[6], fact.listed[6]


def _write(amount: Decimal) -> str:
    return f"{amount:f}"


def cost_rows(rows: Iterator[Fact], by: Sequence[str]) -> list[dict[str, Any]]:
    """Add up cost by the keys; lines whose list amount is zero do not exist."""
    sums: dict[tuple[Any, ...], list[Any]] = defaultdict(lambda: [Decimal(0), Decimal(0), 0, 0])
    whole = "cost_type" not in by and "token_type" not in by
    with localcontext(_EXACT):
        for fact in rows:
            if not any(fact.listed):
                continue
            for cost_type, token_type, quantity, paid, listed in _components(fact):
                if not listed:
                    continue
                keys = {**fact.keys, "cost_type": cost_type, "token_type": token_type}
                total = sums[tuple(keys[name] for name in by)]
                total[0] += paid
                total[1] += listed
                total[2] += quantity
            if whole:
                sums[tuple(fact.keys[name] for name in by)][3] += fact.counts[7]
    return [
        dict(zip(by, key, strict=True))
        | {"amount": _write(paid), "list_amount": _write(listed), "quantity": quantity}
        | {"requests": requests if whole else None}
        for key, (paid, listed, quantity, requests) in sorted(sums.items(), key=lambda item: _order(item[0]))
    ]


def usage_rows(rows: Iterator[Fact], by: Sequence[str]) -> list[dict[str, Any]]:
    """Add up tokens, searches and requests by the keys."""
    sums: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * 8)
    for fact in rows:
        total = sums[tuple(fact.keys[name] for name in by)]
        for number, count in enumerate(fact.counts):
            total[number] += count
    return [
        dict(zip(by, key, strict=True))
        | dict(zip(TOKEN_FIELDS, counts, strict=False))
        | {"total_tokens": sum(counts[:5]), "web_search_requests": counts[5], "requests": counts[7]}
        for key, counts in sorted(sums.items(), key=lambda item: _order(item[0]))
    ]


def _order(key: tuple[Any, ...]) -> tuple[tuple[bool, str], ...]:
    return tuple((value is not None, str(value)) for value in key)


def day_rows(engagement: Engagement, first: date, last: date, snapshot: Snapshot) -> list[dict[str, Any]]:
    """Return per day the money with and without a user, tokens, people and seats."""
    organization = engagement.organization
    latest = organization.latest_engagement_day(snapshot.now)
    rows = []
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        found = list(facts(organization, day, day, snapshot))
        mine = [fact for fact in found if fact.keys["user_id"] is not None]
        with localcontext(_EXACT):
            paid, listed = _sums(found)
            user_paid, user_listed = _sums(mine)
            rest, listed_rest = paid - user_paid, listed - user_listed
        seats, invites = engagement.seats(day)
        grain = {
            tuple(fact.keys[name] for name in _DIMENSION_KEYS) + line[:2]
            for fact in found
            for line in _components(fact)
            if line[4]
        }
        rows.append(
            {
                "day": day.isoformat(),
                "amount": _write(paid),
                "list_amount": _write(listed),
                "user_amount": _write(user_paid),
                "user_list_amount": _write(user_listed),
                "unattributed_amount": _write(rest),
                "unattributed_list_amount": _write(listed_rest),
                "total_tokens": sum(sum(fact.counts[:5]) for fact in found),
                "user_total_tokens": sum(sum(fact.counts[:5]) for fact in mine),
                "requests": sum(fact.counts[7] for fact in found),
                "users": len({fact.keys["user_id"] for fact in mine}),
                "groups": len(grain),
                "assigned_seat_count": seats,
                "pending_invite_count": invites,
                "daily_active_user_count": len(_active(engagement, day, snapshot)) if day <= latest else None,
                "engagement_available": day <= latest,
            }
        )
    return rows


def _sums(found: Sequence[Fact]) -> tuple[Decimal, Decimal]:
    paid = sum((amount for fact in found for amount in fact.paid), Decimal(0))
    return paid, sum((amount for fact in found for amount in fact.listed), Decimal(0))


def _active(engagement: Engagement, day: date, snapshot: Snapshot) -> set[str]:
    """Return who used tokens on a day, by user id, from the base events alone."""
    organization = engagement.organization
    events = organization.full_day(day, snapshot).events
    people = [organization.people[number] for number in set(events.person.tolist()) if number >= 0]
    return {person.user_id for person in people if not person.is_service}


def user_rows(organization: Organization, first: date, last: date, snapshot: Snapshot) -> list[dict[str, Any]]:
    """Return everyone with usage in the range, as the API names them now."""
    seen = {fact.keys["user_id"] for fact in facts(organization, first, last, snapshot)} - {None}
    rows = []
    for person in organization.people:
        if person.user_id in seen:
            actor = person.actor(snapshot.now)
            del actor["type"]
            rows.append(actor | {"account_deleted": person.is_deleted_account(snapshot.now)})
    return rows


def engagement_rows(engagement: Engagement, first: date, last: date, snapshot: Snapshot) -> list[dict[str, Any]]:
    """Return per available day who did what, counted straight from the activity records."""
    latest = engagement.organization.latest_engagement_day(snapshot.now)
    rows = []
    for number in range((min(last, latest) - first).days + 1):
        day = first + timedelta(days=number)
        rows.append(_engagement_day(engagement, day, snapshot))
    return rows


def _engagement_day(engagement: Engagement, day: date, snapshot: Snapshot) -> dict[str, Any]:
    def people(span: int) -> int:
        return len(set().union(*(_active(engagement, day - timedelta(days=back), snapshot) for back in range(span))))

    seats, invites = engagement.seats(day)
    users: dict[str, Any] = {}
    projects: dict[str, Any] = {}
    uses: dict[str, dict[str, Any]] = {"skills": {}, "connectors": {}, "plugins": {}}
    for activity in engagement.activities(day, snapshot):
        counters = activity.counters
        users[activity.person.user_id] = {
            "message_count": activity.messages,
            "session_count": activity.sessions,
            "web_search_count": counters["web_search_count"],
            "commit_count": counters["commits"],
            "pull_request_count": counters["pull_requests"],
            "lines_added": counters["lines_added"],
            "lines_removed": counters["lines_removed"],
        }
        for project_number, (conversations, messages) in activity.projects.items():
            project = engagement.projects[project_number]
            row = projects.setdefault(project.project_id, {"users": 0, "conversations": 0, "messages": 0})
            row["name"] = project.name(snapshot.now)
            row["users"] += 1
            row["conversations"] += conversations
            row["messages"] += messages
        for kind, table in uses.items():
            total = "calls" if kind == "connectors" else "invocations"
            for use in getattr(activity, kind):
                if use.surface == "science":
                    continue
                row = table.setdefault(use.name, {"people": set(), total: 0})
                row["people"].add(activity.person.user_id)
                row[total] += use.calls
    for table in uses.values():
        for row in table.values():
            row["users"] = len(row.pop("people"))
    return {
        "day": day.isoformat(),
        "daily_active_user_count": people(1),
        "weekly_active_user_count": people(7),
        "monthly_active_user_count": people(30),
        "assigned_seat_count": seats,
        "pending_invite_count": invites,
        "users": users,
        "projects": projects,
        **uses,
    }


def overview(organization: Organization, first: date, last: date, snapshot: Snapshot) -> dict[str, Any]:
    """Return the totals of a range and what the organisation is."""
    found = list(facts(organization, first, last, snapshot))
    with localcontext(_EXACT):
        paid, listed = _sums(found)
    return {
        "organization_id": organization.organization_id,
        "name": organization.spec.name,
        "plan": organization.spec.plan,
        "now": format_moment(snapshot.now),
        "data_refreshed_at": format_moment(organization.refreshed_at(snapshot)),
        "latest_engagement_day": organization.latest_engagement_day(snapshot.now).isoformat(),
        "from": first.isoformat(),
        "to": last.isoformat(),
        "amount": _write(paid),
        "list_amount": _write(listed),
        "total_tokens": sum(sum(fact.counts[:5]) for fact in found),
        "requests": sum(fact.counts[7] for fact in found),
    }
