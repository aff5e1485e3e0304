"""Short ways to write days and moments of ledger rows; the fixtures that write the rows are in `conftest.py`."""

from __future__ import annotations

import datetime as dt


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(f"2026-{text}")


def moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(f"2026-{text}")
