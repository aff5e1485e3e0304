"""The command `fake-api`: serves generated organisations until it is stopped.

What is here: options, their checks, and the line that shows the address.
What to add here: another option of the command.
What must not go here: anything that is served.
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from onelens_claude.fake_api.faults import Fault, parse_fault
from onelens_claude.fake_api.server import bind, build_server, create_app
from onelens_claude.fake_api.spec import (
    DEMO_KEY,
    EARLIEST_DAY,
    Clock,
    demo_organizations,
    parse_moment,
    system_clock,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class _Standing:
    """A clock that stands still at a moment."""

    moment: datetime

    def __call__(self) -> datetime:
        return self.moment


def _day(name: str, value: str | None) -> date | None:
    if value is None:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        _refuse(f"{name}: {value!r} is not a date (YYYY-MM-DD)")


def _clock(value: str | None) -> Clock:
    try:
        if value is not None:
            return _Standing(parse_moment(value))
        system_clock()
    except ValueError as error:
        _refuse(f"--now (or ONELENS_NOW): {error}")
    return system_clock


def _faults(texts: Sequence[str]) -> list[Fault]:
    try:
        return [parse_fault(text) for text in texts]
    except ValueError as error:
        _refuse(f"--fault: {error}")


def _refuse(message: str) -> NoReturn:
    sys.stderr.write(f"fake-api: {message}\n")
    raise typer.Exit(2)


def fake_api(
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="Port on the loopback address; 0 picks a free one.")
    ] = 0,
    users: Annotated[int, typer.Option(min=1, metavar="N", help="Seats of each organisation.")] = 60,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="First day with data (default 2026-01-01).")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="DATE", help="Last day with data (default: follows the clock).")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="Seed of the first organisation; the next ones count up.")
    ] = 1,
    now: Annotated[
        str | None,
        typer.Option("--now", metavar="MOMENT", help="Fixed moment, RFC 3339 (default: ONELENS_NOW, else now)."),
    ] = None,
    key: Annotated[
        str, typer.Option("--key", metavar="KEY", help="API key of the first organisation; the next get -2, -3, ...")
    ] = DEMO_KEY,
    rpm: Annotated[
        int, typer.Option(min=0, metavar="N", help="Requests a minute per organisation; 0 lifts the limit.")
    ] = 60,
    plan: Annotated[
        str | None, typer.Option(metavar="PLAN", help="usage or seat (default: alternating, usage first).")
    ] = None,
    organizations: Annotated[
        int, typer.Option(min=1, max=50, metavar="N", help="How many organisations to serve.")
    ] = 1,
    engagement_lag: Annotated[
        int, typer.Option(min=1, metavar="N", help="Days until engagement of a day is there.")
    ] = 1,
    fault: Annotated[
        list[str] | None, typer.Option(metavar="FAULT", help="kind[:name=value,...]; may be repeated.")
    ] = None,
) -> None:
    """Serve the local API until interrupted; prints its address on stdout when it is ready."""
    first = _day("--from", from_) or EARLIEST_DAY
    last = _day("--to", to)
    if first < EARLIEST_DAY:
        _refuse(f"--from: the API has nothing before {EARLIEST_DAY}")
    if last is not None and last < first:
        _refuse(f"--to: {last} lies before --from {first}")
    if plan not in {None, "usage", "seat"}:
        _refuse(f"--plan: {plan!r} is neither usage nor seat")
    if not key.strip():
        _refuse("--key: must not be empty")
    chosen: Literal["usage", "seat"] | None = "seat" if plan == "seat" else "usage" if plan == "usage" else None
    specs = demo_organizations(
        organizations,
        key=key,
        seed=seed,
        users=users,
        first_day=first,
        last_day=last,
        plan=chosen,
        engagement_lag_days=engagement_lag,
    )
    app = create_app(specs, now=_clock(now), requests_per_minute=rpm, faults=_faults(fault or []))
    try:
        listener = bind(port)
    except OSError as error:
        _refuse(f"--port: cannot listen on {port}: {error.strerror or error}")
    listener.listen()
    sys.stdout.write(f"http://127.0.0.1:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt):
        build_server(app).run(sockets=[listener])


def main() -> None:
    """Run the command alone, as `python -m onelens_claude.fake_api`."""
    typer.run(fake_api)
