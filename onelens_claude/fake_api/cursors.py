"""Opaque cursors, bound to the query they came from.

What is here: making and checking them. A cursor carries where to go on and the moment its first page answered for,
so that pages of one walk fit together while the clock moves.
What to add here: another thing a cursor must remember.
What must not go here: what a page holds.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime

import msgspec

from onelens_claude.fake_api.contract import refuse
from onelens_claude.fake_api.organization import Snapshot

_SECRET = b"cursors of the local server protect nothing but their own consistency"
_MAC_BYTES = 9


@dataclass(frozen=True)
class Position:
    """Where a page starts, which page it is (from 1), and the snapshot of the walk."""

    offset: int
    page: int
    snapshot: Snapshot


class _Token(msgspec.Struct, array_like=True):
    query: str
    offset: int
    page: int
    now: str
    revisions: int


def query_digest(organization_id: str, endpoint: str, canonical: str) -> str:
    """Fingerprint of everything a cursor is bound to."""
    return hashlib.sha256(f"{organization_id}\n{endpoint}\n{canonical}".encode()).hexdigest()[:24]


def encode(digest: str, position: Position) -> str:
    """Write a cursor."""
    snapshot = position.snapshot
    token = _Token(digest, position.offset, position.page, snapshot.now.isoformat(), snapshot.revision_count)
    payload = msgspec.msgpack.encode(token)
    mac = hmac.digest(_SECRET, payload, "sha256")[:_MAC_BYTES]
    return "page_" + base64.urlsafe_b64encode(mac + payload).decode().rstrip("=")


def decode(cursor: str, digest: str) -> Position:
    """Read a cursor; a 400 when it is none, or belongs to another query."""
    body = cursor.removeprefix("page_")
    try:
        raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise refuse("page", "Invalid cursor") from None
    mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    if not hmac.compare_digest(mac, hmac.digest(_SECRET, payload, "sha256")[:_MAC_BYTES]):
        raise refuse("page", "Invalid cursor")
    token = msgspec.msgpack.decode(payload, type=_Token)
    if token.query != digest:
        raise refuse("page", "The cursor was issued for a different query; no parameter may change between pages")
    return Position(token.offset, token.page, Snapshot(datetime.fromisoformat(token.now), token.revisions))
