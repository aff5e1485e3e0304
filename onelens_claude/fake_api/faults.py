"""Faults: everything that goes wrong on the way or in a body, on request.

What is here: which faults exist, when one fires, and what a payload fault does to a body.
What to add here: another fault.
What must not go here: breaking connections (server.py) and setting faults over HTTP (control.py).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from typing import Any

import msgspec

from onelens_claude.fake_api.spec import format_moment, parse_moment

ANSWER_FAULTS = {
    "error_500": (500, "Internal server error"),
    "error_503": (503, "Service unavailable"),
    "error_529": (529, "Overloaded"),
    "rate_limited": (429, "This request would exceed your organization's rate limit."),
    "unauthorized": (401, "invalid x-api-key"),
    "forbidden": (403, "Your API key does not have permission to use this endpoint."),
    "cursor_refused": (400, "page: Invalid cursor"),
    "cursor_expired": (400, "page: The cursor has expired; start again from the first page"),
    "too_early": (400, "The requested date is before the earliest available date {value} of this organization."),
}
"""Faults that answer with an error: status and message. `too_early` wants a `value`, and fires for requests that begin
before that day."""

TRANSPORT_FAULTS = frozenset({"truncated_body", "truncated_json", "html_200", "empty_body", "connection_reset", "slow"})
"""Faults of the bytes: a body shorter than its content-length, half a JSON document, a web page with status 200,
nothing at all, a reset connection, and an answer `seconds` late."""

Rows = Iterator[dict[str, Any]]


@dataclass
class Fault:
    """One fault and when it fires. None matches everything; `page` counts from 1; `times` None: for ever.

    `endpoint` is a name such as `user_cost_report` or `chat_projects`; `organization` an id or a name;
    `day` fires when the request covers that day, and for payload faults picks the rows of that day;
    `after` lets so many matching requests pass first. `value` and `seconds` belong to some kinds.
    """

    kind: str
    endpoint: str | None = None
    page: int | None = None
    day: date | None = None
    organization: str | None = None
    times: int | None = 1
    after: int = 0
    value: str | None = None
    seconds: float = 1.0
    fired: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Refuse an unknown kind."""
        if self.kind not in FAULT_KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; known: {', '.join(sorted(FAULT_KINDS))}")
        if self.kind == "too_early":
            date.fromisoformat(self.value or "")


@dataclass(frozen=True)
class RequestFacts:
    """What a fault can look at."""

    endpoint: str
    page: int
    has_cursor: bool
    first_day: date | None
    last_day: date | None
    names: tuple[str, ...]


class FaultBoard:
    """The faults set at the moment; taking one counts it."""

    def __init__(self, faults: Sequence[Fault] = ()) -> None:
        self._faults = list(faults)
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Set one more fault."""
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Take all faults away."""
        with self._lock:
            self._faults.clear()

    def all(self) -> list[Fault]:
        """Return the faults set, with how often each fired."""
        with self._lock:
            return list(self._faults)

    def take(self, request: RequestFacts) -> list[Fault]:
        """Return the faults that fire for a request, in the order they were set."""
        taken = []
        with self._lock:
            for fault in self._faults:
                if not _matches(fault, request) or (fault.times is not None and fault.fired >= fault.times):
                    continue
                if fault.after > 0:
                    fault.after -= 1
                    continue
                fault.fired += 1
                taken.append(fault)
        return taken


def _matches(fault: Fault, request: RequestFacts) -> bool:
    wanted = (
        (fault.endpoint, (request.endpoint,)),
        (fault.page, (request.page,)),
        (fault.organization, request.names),
    )
    if any(one is not None and one not in found for one, found in wanted):
        return False
    first, last = request.first_day, request.last_day
    if fault.kind in {"cursor_refused", "cursor_expired"} and not request.has_cursor:
        return False
    if fault.kind == "too_early":
        return first is not None and first < date.fromisoformat(fault.value or "")
    if fault.day is None:
        return True
    return first is not None and last is not None and first <= fault.day <= last


def parse_fault(text: str) -> Fault:
    """Read `kind[:name=value,...]`, e.g. `error_500:endpoint=users,page=2,times=always`; ValueError otherwise."""
    kind, _, rest = text.partition(":")
    given: dict[str, Any] = {}
    names = {one.name for one in fields(Fault) if one.init} - {"kind"}
    for part in re.split(r",(?=[a-z_]+=)", rest) if rest else []:
        name, equals, value = part.partition("=")
        if not equals or name not in names:
            raise ValueError(f"fault {text!r}: {part!r} is not name=value with one of {', '.join(sorted(names))}")
        given[name] = value
    return build_fault({"kind": kind, **given})


def build_fault(given: dict[str, Any]) -> Fault:
    """Make a fault from plain values (numbers and dates may be text); ValueError when one is wrong."""
    values = dict(given)
    for name in ("page", "after"):
        if values.get(name) is not None:
            values[name] = int(values[name])
    if "times" in values:
        values["times"] = None if values["times"] in {None, "always"} else int(values["times"])
    if isinstance(values.get("day"), str):
        values["day"] = date.fromisoformat(values["day"])
    if "seconds" in values:
        values["seconds"] = float(values["seconds"])
    try:
        return Fault(**values)
    except TypeError as error:
        raise ValueError(str(error)) from None


def _rows(body: dict[str, Any], day: date | None) -> Rows:
    """Yield the rows of a body that carry figures, those of one day when it is given."""
    for outer in body.get("data", []):
        stamp = outer.get("starting_at")
        if day is not None and stamp is not None and parse_moment(stamp).date() != day:
            continue
        if "results" in outer:
            yield from outer["results"]
        else:
            yield outer


def _group(row: dict[str, Any]) -> dict[str, Any]:
    return row["group"] if isinstance(row.get("group"), dict) else row


def _bad_amount(body: dict[str, Any], fault: Fault) -> None:
    value = fault.value or "12,5"
    for row in _rows(body, fault.day):
        holder = row["cost"] if isinstance(row.get("cost"), dict) else row
        if "amount" in holder:
            holder["amount"] = msgspec.Raw(b"12.5") if value == "number" else value
            return


def _day_outside(body: dict[str, Any], _fault: Fault) -> None:
    for outer in body.get("data", []):
        if outer.get("starting_at"):
            for name in ("starting_at", "ending_at"):
                outer[name] = format_moment(parse_moment(outer[name]) - timedelta(days=40))
            return


def _set_first(name: str, default: str) -> Callable[[dict[str, Any], Fault], None]:
    def change(body: dict[str, Any], fault: Fault) -> None:
        for row in _rows(body, fault.day):
            if name in _group(row) and _group(row)[name] is not None:
                _group(row)[name] = fault.value or default
                return

    return change


def _extra_field(body: dict[str, Any], fault: Fault) -> None:
    body["a_field_of_tomorrow"] = {"nested": [1, "two", None]}
    for row in _rows(body, fault.day):
        row[fault.value or "a_dimension_of_tomorrow"] = "surprise"


def _cursor_loop(body: dict[str, Any], fault: Fault) -> None:
    if fault.value is not None:
        body["next_page"], body["has_more"] = fault.value, True


def _old_summaries(body: dict[str, Any], _fault: Fault) -> None:
    body["summaries"] = body.pop("data")
    body.pop("has_more", None)


def _old_email(body: dict[str, Any], fault: Fault) -> None:
    for row in body.get("data", []):
        for owner in (row.get("actor"), _group(row).get("actor")):
            if isinstance(owner, dict) and "email_address" in owner:
                owner["email"] = owner["email_address"]
                if fault.value != "both":
                    del owner["email_address"]


def _rename(name: str, change: Callable[[str], str]) -> Callable[[dict[str, Any], Fault], None]:
    def rename(body: dict[str, Any], fault: Fault) -> None:
        for row in _rows(body, fault.day):
            if isinstance(_group(row).get(name), str):
                _group(row)[name] = change(_group(row)[name])

    return rename


def _missing_fields(body: dict[str, Any], fault: Fault) -> None:
    names = fault.value.split("+") if fault.value else ["deleted", "list_amount", "has_more", "data_refreshed_at"]
    holders = [body]
    for row in _rows(body, None):
        holders += [row, *(part for part in row.values() if isinstance(part, dict))]
    for holder in holders:
        for name in names:
            holder.pop(name, None)


def _null_block(body: dict[str, Any], fault: Fault) -> None:
    for row in body.get("data", []):
        if (fault.value or "chat_metrics") in row:
            row[fault.value or "chat_metrics"] = None


def _repeated_row(body: dict[str, Any], fault: Fault) -> None:
    """List the first row, or bucket, of the day twice."""
    for outer in body.get("data", []):
        stamp = outer.get("starting_at")
        if fault.day is None or stamp is None or parse_moment(stamp).date() == fault.day:
            body["data"] = [*body["data"], outer]
            return


def _older_stamp(body: dict[str, Any], _fault: Fault) -> None:
    """Say that the answer is complete up to an hour earlier."""
    if body.get("data_refreshed_at"):
        body["data_refreshed_at"] = format_moment(parse_moment(body["data_refreshed_at"]) - timedelta(hours=1))


PAYLOAD_FAULTS: dict[str, Callable[[dict[str, Any], Fault], None]] = {
    "bad_amount": _bad_amount,
    "day_outside_window": _day_outside,
    "unknown_product": _set_first("product", "claude_of_tomorrow"),
    "unknown_model": _set_first("model", "claude-tomorrow-9"),
    "extra_field": _extra_field,
    "cursor_loop": _cursor_loop,
    "old_summaries": _old_summaries,
    "old_email": _old_email,
    "old_claude_tag": _rename("product", lambda value: "claude_tag" if value == "claude-tag" else value),
    "old_model_names": _rename("model", lambda value: value.replace("-", "_")),
    "missing_fields": _missing_fields,
    "null_block": _null_block,
    "repeated_row": _repeated_row,
    "older_stamp": _older_stamp,
}
"""Faults of the body. `value`: the amount (`number`: a JSON number); the product, model or field name; `both` keeps
both address fields; names joined by + for missing_fields; the block of null_block."""

FAULT_KINDS = frozenset(ANSWER_FAULTS) | TRANSPORT_FAULTS | frozenset(PAYLOAD_FAULTS)
