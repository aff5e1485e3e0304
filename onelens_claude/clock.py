"""The clock: UTC, replaced everywhere by `ONELENS_NOW` for tests and replays.

What is here: the current moment, and moments as the warehouse stores them. What to add here: nothing but such forms.
What must not go here: when an endpoint has a day (`api/endpoints.py`) or which days are due (`ledger`).
"""

from __future__ import annotations

import datetime as dt
import os

from onelens_claude.errors import SettingsError


def utc_now() -> dt.datetime:
    """Return the current moment, timezone-aware UTC; `ONELENS_NOW` (RFC 3339) replaces it.

    Raises SettingsError when `ONELENS_NOW` is not an RFC 3339 timestamp with an offset.
    """
    text = os.environ.get("ONELENS_NOW")
    if not text:
        return dt.datetime.now(dt.UTC)
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(f"environment variable ONELENS_NOW: {text!r} is not RFC 3339: {error}") from None
    if moment.tzinfo is None:
        raise SettingsError(f"environment variable ONELENS_NOW: {text!r} has no UTC offset; end it with Z")
    return moment.astimezone(dt.UTC)


def naive_utc(moment: dt.datetime) -> dt.datetime:
    """Return `moment` as the naive UTC timestamp the warehouse stores."""
    return moment.astimezone(dt.UTC).replace(tzinfo=None)
