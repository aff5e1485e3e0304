"""The words for how a day and an endpoint stand, each with its meaning.

What is here: every state that a table, a command or a page may name. What to add here: a state that people must treat
differently from the others. What must not go here: deciding which one holds (`errors.py` says it of a failure, `ledger`
and the dbt model `engagement_day_states` of days and endpoints).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class _Word(StrEnum):
    meaning: str

    def __new__(cls, word: str, meaning: str) -> Self:
        """Make a member that is its word and carries its meaning."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.meaning = meaning
        return member


class DayState(_Word):
    """What is known of one day at one endpoint. A held day keeps its state whatever happened later."""

    COMPLETE = "complete", "the newest complete answer has rows"
    EMPTY = "empty", "the newest complete answer has no rows, nobody was active"
    LATE = "late", "the API said that the day is not there yet, and it may still come"
    UNAVAILABLE = "unavailable", "the API holds nothing so far back"
    FORBIDDEN = "forbidden", "the newest attempt was refused (401 or 403)"
    FAILED = "failed", "the newest attempt failed otherwise"
    MISSING = "missing", "nobody asked, or the day is overdue by more than the longest lag"


class EndpointState(_Word):
    """Where one endpoint of one organisation stands, from the best to the worst."""

    DISCONNECTED = "not in the settings", "what is held stays and is read, nobody asks for more"
    COMPLETE = "complete", "every day up to the newest that can exist is held"
    DUE = "due", "every day is held but yesterday, which the daily run is still to ask for this morning"
    LATE = "late", "every day that is there is held, newer ones are not aggregated yet"
    INCOMPLETE = "incomplete", "the newest days are held, but their answers did not reach the day's end"
    NEVER_PULLED = "never pulled", "nobody asked for any day yet"
    GAPS = "gaps", "days are missing though they are there"
    FAILED = "failed", "the newest attempt failed otherwise"
    FORBIDDEN = "forbidden", "the newest attempt was refused (401 or 403)"
