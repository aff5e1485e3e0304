"""The alert log: what was seen, what each channel was told, and what waits. A file of its own beside the warehouse.

Neither a full refresh nor a restored warehouse forgets it. Each change is one transaction, and the file is open no
longer than that, so that people can look while a message is on its way.

    facts       one row per fact, with the words in which it is told; a condition that has ended is closed
    deliveries  one row per fact and channel; `told_in` is the fact whose message speaks for it too
    channels    which channel is down, since when, and when it is tried again
    api_keys    when the SHA-256 of an organisation's key was first seen

What is here: the file, its lock, and every change of it. What to add here: another thing to remember.
What must not go here: which channel is told of what (`folding.py`), sending (`sending.py`), and when (`delivery.py`).
"""

from __future__ import annotations

import datetime as dt
import json
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
from filelock import FileLock, Timeout

from onelens_claude.alerts.fact import EVERYWHERE, SEVERITIES, Fact
from onelens_claude.alerts.folding import Told, corrections_of, folded, is_for
from onelens_claude.clock import naive_utc
from onelens_claude.errors import WarehouseError
from onelens_claude.folders import beside
from onelens_claude.warehouse.connections import connect_when_free, copy_without_holes, dicts, transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from onelens_claude.alerts.fact import Severity
    from onelens_claude.settings.channels import Channel

GIVEN_UP_AFTER = dt.timedelta(days=7)
_FIRST_BACKOFF = dt.timedelta(minutes=1)
_LONGEST_BACKOFF = dt.timedelta(hours=6)
_OPEN_SECONDS, _TOLD_AFTER = 15.0, 1.0
_TABLES = """
create table if not exists facts (
    alert_key varchar primary key,
    event varchar not null,
    organization_id varchar not null,
    identity varchar not null,
    first_seen_at timestamp not null,
    closed_at timestamp,
    occurred_on date not null,
    severity varchar not null,
    impact_usd decimal(38, 14),
    title varchar not null,
    text varchar not null,
    query varchar not null,
    page varchar not null,
    data varchar not null,
    correction_of varchar
);
alter table facts add column if not exists cause varchar;
create table if not exists deliveries (
    alert_key varchar not null,
    channel varchar not null,
    told_in varchar,
    status varchar not null check (status in ('pending', 'sent', 'held', 'retrying', 'gave_up')),
    attempts integer not null,
    attempting_since timestamp,
    first_attempt_at timestamp,
    sent_at timestamp,
    last_error varchar,
    primary key (alert_key, channel)
);
create table if not exists channels (
    channel varchar primary key,
    failures integer not null,
    down_since timestamp,
    next_attempt_at timestamp,
    last_error varchar
);
create table if not exists api_keys (
    organization_id varchar not null,
    sha256 varchar not null,
    first_seen_at timestamp not null,
    primary key (organization_id, sha256)
);
"""
_LOG = """
    select alert_key, event, organization_id, channel, status, first_seen_at, sent_at, attempts, last_error, told_in,
        correction_of, severity, occurred_on, impact_usd, title
    from facts
    join deliveries using (alert_key)
    order by first_seen_at, organization_id, event, alert_key, channel
"""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A fact on its way to a channel, as the log has it."""

    alert_key: str
    event: str
    organization_id: str
    severity: str
    occurred_on: dt.date
    title: str
    text: str
    query: str
    page: str
    impact_usd: Any
    data: Mapping[str, Any]
    correction_of: str | None
    attempts: int


@dataclass(frozen=True, slots=True)
class DownChannel:
    """A channel whose last attempt failed."""

    channel: str
    down_since: dt.datetime
    next_attempt_at: dt.datetime
    failures: int
    last_error: str


class AlertLog:
    """The file of alerts."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def exclusive(self, seconds: float) -> Iterator[bool]:
        """Let one process at a time evaluate and send; yield whether this one may, after waiting so long at most."""
        lock = FileLock(beside(self.path, ".lock"))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=seconds)
        except Timeout:
            yield False
            return
        except OSError as error:
            raise WarehouseError(f"{self.path}: cannot be written: {error.strerror}; make it writable") from None
        try:
            yield True
        finally:
            lock.release()

    def record(
        self, facts: Iterable[Fact], channels: Sequence[Channel], organizations: Sequence[str], now: dt.datetime
    ) -> list[str]:
        """Note what is seen and what each channel is to be told of it; return the keys of facts never seen before."""
        with self._writing() as connection:
            seen = {key for (key,) in connection.execute("select alert_key from facts").fetchall()}
            keyed = dict(self._keyed(connection, facts, now))
            _forget_untold(connection, [key for key, fact in keyed.items() if fact.is_withdrawn])
            told = _told(connection)
            speakers = _speakers(connection)
            fresh = {key: fact for key, fact in keyed.items() if key not in seen and not fact.is_withdrawn}
            deliveries: list[dict[str, Any]] = []
            made = dict(fresh)
            for channel in channels:
                wanted = {
                    key: fact
                    for key, fact in keyed.items()
                    if (key, channel.id) not in told and not fact.is_withdrawn and is_for(channel, fact, organizations)
                }
                corrections = corrections_of(keyed, channel.id, told, now)
                wanted |= corrections
                spoken_for = {
                    key: speaker.delivery
                    for key, fact in wanted.items()
                    if (speaker := speakers.get((_cause(fact), channel.id)))
                    and SEVERITIES.index(fact.severity) <= SEVERITIES.index(speaker.severity)
                }
                leaders, leader_of = folded({key: wanted[key] for key in wanted.keys() - spoken_for}, now)
                made |= corrections | leaders
                deliveries += [
                    {
                        "alert_key": key,
                        "channel": channel.id,
                        "told_in": leader_of.get(key),
                        "status": "pending",
                        "sent_at": None,
                        **spoken_for.get(key, {}),
                    }
                    for key in {**wanted, **leaders}
                ]
            moment = str(naive_utc(now))
            _insert(connection, "facts", [_row(key, fact, moment) for key, fact in made.items() if key not in seen])
            _insert(connection, "deliveries", [{**one, "attempts": "0"} for one in deliveries])
        return list(fresh)

    def _keyed(
        self, connection: duckdb.DuckDBPyConnection, facts: Iterable[Fact], now: dt.datetime
    ) -> Iterator[tuple[str, Fact]]:
        """Yield each fact with its key; a condition's tells each time that it began from the others."""
        open_conditions = dict(
            connection.execute(
                "select identity, alert_key from facts where closed_at is null and event = 'data_quality'"
            ).fetchall()
        )
        for fact in facts:
            if fact.holds is None:
                yield fact.alert_key, fact
                continue
            known = open_conditions.get(_identity(fact))
            if fact.holds:
                begun = replace(fact, identity=(*fact.identity, now.isoformat()))
                yield known or begun.alert_key, fact
            elif known:
                connection.execute("update facts set closed_at = ? where alert_key = ?", [naive_utc(now), known])
                _forget_untold(connection, [known])

    def first_seen(self, digests: Collection[tuple[str, str]], now: dt.datetime) -> dict[tuple[str, str], dt.datetime]:
        """Note the keys in use by their SHA-256; return since when each of them is known."""
        with self._writing() as connection:
            for key in digests:
                connection.execute("insert or ignore into api_keys values (?, ?, ?)", [*key, naive_utc(now)])
            return {key: at for key, at in _keys(connection).items() if key in digests}

    def keys(self) -> dict[tuple[str, str], dt.datetime]:
        """Return every key that was ever in use, by organisation and SHA-256, and when it was first seen."""
        with self._reading() as connection:
            return _keys(connection) if connection else {}

    def hold(self, channel: str) -> None:
        """Keep what a channel was to be told for the end of its quiet hours."""
        with self._writing() as connection:
            connection.execute(
                "update deliveries set status = 'held' where channel = ? and status = 'pending'", [channel]
            )

    def due(self, channel: str, now: dt.datetime) -> list[Outgoing]:
        """Return what a channel is to be told now; nothing while it waits for its next attempt.

        An attempt that was interrupted is due at once: nobody knows whether it arrived. What was first tried seven days
        ago is given up.
        """
        with self._writing() as connection:
            connection.execute(
                "update deliveries set status = 'gave_up' where channel = ? and status in ('pending', 'retrying') "
                "and first_attempt_at <= ?",
                [channel, naive_utc(now - GIVEN_UP_AFTER)],
            )
            waits = connection.execute(
                "select 1 from channels where channel = ? and next_attempt_at > ?", [channel, naive_utc(now)]
            ).fetchone()
            rows = dicts(
                connection,
                """select alert_key, event, organization_id, severity, occurred_on, title, text, query, page,
                    impact_usd, data, correction_of, attempts
                from deliveries
                join facts using (alert_key)
                where channel = ? and told_in is null and status in ('pending', 'held', 'retrying')
                    and (? or attempting_since is not null)
                order by array_position(?, severity) desc, impact_usd desc nulls last, occurred_on, alert_key""",
                [channel, waits is None, list(SEVERITIES)],
            )
        return [Outgoing(**{**one, "data": json.loads(one["data"])}) for one in rows]

    def attempt(self, channel: str, keys: Sequence[str], now: dt.datetime) -> None:
        """Note, before anything leaves, that it is tried: a kill after this makes the next attempt say so."""
        self._change(
            channel,
            keys,
            "attempts = attempts + 1, attempting_since = $now, first_attempt_at = coalesce(first_attempt_at, $now)",
            {"now": naive_utc(now)},
        )

    def sent(self, channel: str, keys: Sequence[str], now: dt.datetime, remark: str | None = None) -> None:
        """Note that a channel took a message."""
        self._change(
            channel,
            keys,
            "status = 'sent', sent_at = $now, attempting_since = null, last_error = $remark",
            {"now": naive_utc(now), "remark": remark},
            "delete from channels where channel = $channel",
        )

    def failed(
        self, channel: str, keys: Sequence[str], now: dt.datetime, error: str, retry_after: float | None = None
    ) -> None:
        """Note that an attempt failed, and when the channel is tried again."""
        with self._writing() as connection:
            (failures,) = connection.execute(
                "select coalesce(max(failures), 0) + 1 from channels where channel = ?", [channel]
            ).fetchone() or (1,)
            backoff = min(_FIRST_BACKOFF * 2 ** min(failures - 1, 10), _LONGEST_BACKOFF)
            if retry_after is not None:
                backoff = max(backoff, min(dt.timedelta(seconds=retry_after), dt.timedelta(days=1)))
            moment = naive_utc(now)
            connection.execute(
                """insert into channels values ($channel, $failures, $now, $next, $error)
                on conflict do update set failures = $failures, next_attempt_at = $next, last_error = $error""",
                {"channel": channel, "failures": failures, "now": moment, "next": moment + backoff, "error": error},
            )
            _update(
                connection, channel, keys, "status = 'retrying', attempting_since = null, last_error = $error",
                {"error": error},
            )  # fmt: skip

    def down(self) -> list[DownChannel]:
        """Return the channels whose last attempt failed."""
        with self._reading() as connection:
            if connection is None:
                return []
            rows = connection.execute(
                "select channel, down_since, next_attempt_at, failures, last_error from channels order by channel"
            ).fetchall()
        return [DownChannel(*row) for row in rows]

    def rows(self) -> list[dict[str, Any]]:
        """Return one row per fact and channel, oldest first."""
        with self._reading() as connection:
            if connection is None:
                return []
            return dicts(connection, _LOG)

    def first_seen_since(self, moment: dt.datetime, event: str) -> list[str]:
        """Return the titles of facts of an event that were first seen at or after a moment."""
        with self._reading() as connection:
            if connection is None:
                return []
            rows = connection.execute(
                "select title from facts where first_seen_at >= ? and event = ? and correction_of is null "
                "order by title",
                [naive_utc(moment), event],
            ).fetchall()
        return [title for (title,) in rows]

    def forget_before(self, day: dt.date) -> int:
        """Forget every fact of a day before `day`, and rewrite the file without them; return how many there were.

        Nothing derives such a fact again, because its day is gone from the warehouse. To be called by whoever may
        evaluate (`exclusive`).
        """
        if not self.path.exists():
            return 0
        with self._writing() as connection:
            old = "select alert_key from facts where occurred_on < ?"
            connection.execute(f"delete from deliveries where alert_key in ({old})", [day])
            forgotten = connection.execute(
                "delete from facts where occurred_on < ? returning alert_key", [day]
            ).fetchall()
        if forgotten:
            self._compact()
        return len(forgotten)

    def forget_subject(
        self, organization_id: str, user_ids: Collection[str], redacted: Callable[[str], str], *, whole: bool = False
    ) -> int:
        """Forget the facts that are about these people, or all of an organisation's, and rewrite the others' texts.

        Returns how many facts were changed or are gone; the file is then rewritten. To be called by whoever may
        evaluate (`exclusive`).
        """
        if not self.path.exists():
            return 0
        texts = ("title", "text", "query", "page", "data", "identity", "cause")
        with self._writing() as connection:
            facts = dicts(
                connection,
                f"select alert_key, {', '.join(texts)} from facts where organization_id in (?, '{EVERYWHERE}')",
                [organization_id],
            )
            gone, changed = [], 0
            for fact in facts:
                value = json.loads(fact["data"] or "{}").get("scope_value") or ""
                is_theirs = value.partition("/")[0] in user_ids or any(
                    one in json.loads(fact["identity"]) for one in user_ids
                )
                if is_theirs or (whole and json.loads(fact["identity"])[0] == organization_id):
                    gone.append(fact["alert_key"])
                    continue
                new = {name: fact[name] and redacted(fact[name]) for name in texts}
                if any(new[name] != fact[name] for name in texts):
                    changed += 1
                    assigned = ", ".join(f"{name} = ?" for name in texts)
                    connection.execute(
                        f"update facts set {assigned} where alert_key = ?", [*new.values(), fact["alert_key"]]
                    )
            for table in ("deliveries", "facts"):
                connection.execute(f"delete from {table} where list_contains(?, alert_key)", [gone])
            if whole:
                connection.execute("delete from api_keys where organization_id = ?", [organization_id])
        if gone or changed:
            self._compact()
        return len(gone) + changed

    def _compact(self) -> None:
        """Write the file anew, without the bytes of what was deleted."""
        new = beside(self.path, ".compact")
        new.unlink(missing_ok=True)
        with self._open(read_only=True) as connection:
            copy_without_holes(connection, new)
        new.replace(self.path)

    def _change(
        self, channel: str, keys: Sequence[str], change: str, values: Mapping[str, Any], also: str = ""
    ) -> None:
        with self._writing() as connection:
            _update(connection, channel, keys, change, values)
            if also:
                connection.execute(also, {"channel": channel})

    @contextmanager
    def _writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._open(read_only=False) as connection:
            try:
                connection.execute(_TABLES)
                with transaction(connection):
                    yield connection
            except duckdb.Error as error:
                raise self._unusable(error) from None

    @contextmanager
    def _reading(self) -> Iterator[duckdb.DuckDBPyConnection | None]:
        """Yield the file as it is; null where nothing was ever noted."""
        if not self.path.exists():
            yield None
            return
        with self._open(read_only=True) as connection:
            try:
                yield connection
            except duckdb.CatalogException:  # made by a process that was killed before it made the tables
                raise WarehouseError(f"{self.path}: is not complete; `onelens-claude daily` completes it") from None
            except duckdb.Error as error:
                raise self._unusable(error) from None

    @contextmanager
    def _open(self, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        try:
            connection = connect_when_free(
                self.path, seconds=_OPEN_SECONDS, told_after=_TOLD_AFTER, read_only=read_only
            )
        except duckdb.Error as error:
            raise self._unusable(error) from None
        try:
            yield connection
        finally:
            connection.close()

    def _unusable(self, error: duckdb.Error) -> WarehouseError:
        return WarehouseError(
            f"{self.path}: the alert log cannot be used: {' '.join(str(error).split()).rstrip('.')}. If it is damaged, "
            "put it back from a backup; without it, what was told before may be told once more"
        )


def show(connection: duckdb.DuckDBPyConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Put the log into the warehouse as it is now: `marts.alert_log` reads it there."""
    with transaction(connection):
        connection.execute("delete from claude_raw.alert_log")
        _insert(connection, "claude_raw.alert_log", rows)


def _told(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], Told]:
    rows = connection.execute(
        "select alert_key, channel, status = 'sent', title, first_seen_at from deliveries join facts using (alert_key)"
    ).fetchall()
    return {(key, channel): Told(*row) for key, channel, *row in rows}


class _Speaker(NamedTuple):
    severity: Severity
    delivery: dict[str, Any]
    """How what it speaks for is delivered."""


def _speakers(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str | None, str], _Speaker]:
    """Return what each channel was told, or is to be told, of each cause: what is seen of it later is told in it."""
    rows = connection.execute(
        """select cause, channel, severity, alert_key, status, sent_at
        from deliveries
        join facts using (alert_key)
        where cause is not null and told_in is null
        order by first_seen_at desc, alert_key"""
    ).fetchall()
    return {
        (cause, channel): _Speaker(severity, {"told_in": key, "status": status, "sent_at": sent_at})
        for cause, channel, severity, key, status, sent_at in rows
    }


def _keys(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], dt.datetime]:
    rows = connection.execute("select organization_id, sha256, first_seen_at from api_keys").fetchall()
    return {(organization, sha256): at for organization, sha256, at in rows}


def _forget_untold(connection: duckdb.DuckDBPyConnection, ended: Sequence[str]) -> None:
    """Drop what was never tried and no longer holds: nobody needs to hear of it, nor of its correction.

    What it was to speak for is put in order anew.
    """
    connection.execute(
        "delete from deliveries where (list_contains($ended, alert_key) or list_contains($ended, told_in)) "
        "and status in ('pending', 'held') and attempts = 0",
        {"ended": list(ended)},
    )


def _cause(fact: Fact) -> str | None:
    return json.dumps([fact.organization_id, fact.event, *fact.cause]) if fact.cause else None


def _identity(fact: Fact) -> str:
    return json.dumps([fact.organization_id, fact.event, *fact.identity])


def _row(key: str, fact: Fact, moment: str) -> dict[str, Any]:
    kept = asdict(fact)
    row = {name: kept[name] for name in ("event", "organization_id", "severity", "title", "text", "query", "page")}
    return {
        **row,
        "alert_key": key,
        "identity": _identity(fact),
        "first_seen_at": moment,
        "occurred_on": str(fact.occurred_on),
        "impact_usd": None if fact.impact_usd is None else f"{fact.impact_usd:f}",
        "data": json.dumps(fact.data, default=str),
        "correction_of": fact.correction_of,
        "cause": _cause(fact),
    }


def _insert(connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows of texts in one statement: a backfill of a year has thousands."""
    if not rows:
        return
    names = list(rows[0])
    structure = json.dumps([dict.fromkeys(names, "VARCHAR")])
    connection.execute(
        f"insert into {table} ({', '.join(names)}) "
        f"select {', '.join(f'one.{name}' for name in names)} from (select unnest(from_json(?, '{structure}')) as one)",
        [json.dumps(rows, default=str)],
    )


def _update(
    connection: duckdb.DuckDBPyConnection, channel: str, keys: Sequence[str], change: str, values: Mapping[str, Any]
) -> None:
    """Change the deliveries of these facts, and of those for which they speak."""
    connection.execute(
        f"update deliveries set {change} where channel = $channel "
        "and (list_contains($keys, alert_key) or list_contains($keys, told_in))",
        {**values, "channel": channel, "keys": list(keys)},
    )
