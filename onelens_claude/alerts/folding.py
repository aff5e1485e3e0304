"""Which channel is told of which fact, and which fact speaks for others: pure functions of facts and of what was told.

What is here: who is told, corrections of what is revised away, one fact for a group, one summary for what is long over.
What to add here: another rule of what is told together. What must not go here: remembering (`log.py`), the words of an
event (`facts.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from onelens_claude.alerts.fact import EVERYWHERE, SEVERITIES, Fact, dollars
from onelens_claude.settings.values import EACH

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from onelens_claude.settings.channels import Channel

_NAMED_IN_SUMMARY = 10


@dataclass(frozen=True, slots=True)
class Told:
    """What the log knows of a fact and a channel."""

    is_sent: bool
    title: str
    first_seen_at: dt.datetime


def is_for(channel: Channel, fact: Fact, organizations: Sequence[str]) -> bool:
    """Tell whether a channel is told of a fact. An impact that is not known is never too small."""
    if fact.event not in channel.events:
        return False
    if fact.impact_usd is not None and abs(fact.impact_usd) < channel.min_impact_usd:
        return False
    if EACH in channel.organizations:
        return True
    if fact.organization_id == EVERYWHERE:  # it may name any organisation
        return set(organizations) <= set(channel.organizations)
    return fact.organization_id in channel.organizations


def corrections_of(
    keyed: Mapping[str, Fact], channel: str, told: Mapping[tuple[str, str], Told], now: dt.datetime
) -> dict[str, Fact]:
    """Return one correction for each fact that this channel was told and that is revised away."""
    found = {}
    for key, fact in keyed.items():
        before = told.get((key, channel))
        if not fact.is_withdrawn or before is None or not before.is_sent:
            continue
        correction = replace(
            fact,
            identity=(*fact.identity, "correction"),
            severity="info",
            occurred_on=now.date(),
            title=f"Correction: {before.title}: this no longer holds",
            text="The API has restated days, or the settings have changed, since this was seen on "
            f"{before.first_seen_at:%Y-%m-%d}.\n{fact.text}",
            is_withdrawn=False,
            is_past=False,
            correction_of=key,
        )
        if (correction.alert_key, channel) not in told:
            found[correction.alert_key] = correction
    return found


def folded(wanted: Mapping[str, Fact], now: dt.datetime) -> tuple[dict[str, Fact], dict[str, str]]:
    """Return the summaries to add, and for each fact that another speaks for, the key of that one."""
    summaries: dict[str, Fact] = {}
    leader_of: dict[str, str] = {}
    past: dict[tuple[str, str], dict[str, Fact]] = {}
    groups: dict[tuple[str, ...], dict[str, Fact]] = {}
    for key, fact in wanted.items():
        if fact.is_past:
            past.setdefault((fact.organization_id, fact.event), {})[key] = fact
        elif fact.group:
            kind = "correction" if fact.correction_of else "fact"
            groups.setdefault((fact.organization_id, fact.event, kind, *fact.group), {})[key] = fact
    for members in groups.values():
        leader = max(members, key=lambda key: (members[key].rank, key))
        leader_of |= {key: leader for key in members if key != leader}
    for members in past.values():
        if len(members) > 1:
            summary = _summary(members, now)
            summaries[summary.alert_key] = summary
            leader_of |= dict.fromkeys(members, summary.alert_key)
    return summaries, leader_of


def _summary(members: Mapping[str, Fact], now: dt.datetime) -> Fact:
    """Return one fact that speaks for what is long over: what a first run or a backfill brings."""
    facts = sorted(
        members.values(), key=lambda one: (SEVERITIES.index(one.severity), one.impact_usd or 0, one.title), reverse=True
    )
    first = facts[0]
    days = sorted(fact.occurred_on for fact in facts)
    named = [f"- {_with_amount(fact)}" for fact in facts[:_NAMED_IN_SUMMARY]]
    more = len(facts) - len(named)
    return replace(
        first,
        identity=("summary", *sorted(members)),
        severity="info",
        occurred_on=now.date(),
        title=f"{first.organization_id}: {len(facts)} past {first.event.replace('_', ' ')} alerts, "
        f"{days[0]} to {days[-1]}, in one summary",
        text="\n".join(
            [
                "They were over when they were first seen, for instance by a backfill, and are not told one by one.",
                *named,
                *([f"and {more} more: `onelens-claude alerts list`"] if more else []),
            ]
        ),
        impact_usd=None,
        data={"count": len(facts), "first_day": str(days[0]), "last_day": str(days[-1])},
        query=f"from marts.alert_log where organization_id = '{first.organization_id}' and event = '{first.event}' "
        "order by occurred_on",
        page="assets/marts/alert_log",
        group=(),
        is_past=False,
    )


def _with_amount(fact: Fact) -> str:
    """Return the title, with the amount where it does not name it already."""
    amount = "" if fact.impact_usd is None else f" ({dollars(fact.impact_usd)})"
    return fact.title if fact.title.endswith(amount) else fact.title + amount
