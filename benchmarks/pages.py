"""Answers of `user_cost_report` at size: page files as the API would send them, written once, and their index.

A user-day has about six rows of 490 bytes (five token types of the main product and model, and what else the user
touched): 3.1 KB, as in an organisation that works with Claude Code and chat. Deterministic.

What is here: the rows of a user-day, and the files that hold them. What to add here: pages of another shape. What must
not go here: serving them (`page_server.py`).
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import random
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST_DAY = dt.date(2026, 10, 1)
NOW = "2026-11-20T12:00:00Z"
GROUPS_PER_PAGE = 1000
"""Rows before the fan-out by cost and token type: what `limit` counts."""
INDEX = "index.json"

_TOKENS = (
    "uncached_input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation.ephemeral_5m_input_tokens",
    "cache_creation.ephemeral_1h_input_tokens",
)
_MODELS = ("claude-opus-4-6", "claude-sonnet-4-5", "claude-haiku-4-5")
_CHAT, _COWORK, _LONG, _FAST = 0.6, 0.05, 0.1, 0.05
"""Shares of user-days with these products, of rows with long context and in fast mode: 6.4 rows a user-day."""
_LETTERS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_FIRST_NAMES = ("Grace", "Ada", "Alan", "Katherine", "Edsger", "Barbara", "Donald", "Radia")
_LAST_NAMES = ("Ito", "Okafor", "Silva", "Novak", "Haddad", "Larsen", "Moreau", "Tanaka")


def write_pages(folder: Path, users: int, days: int, first_day: dt.date = FIRST_DAY) -> None:
    """Write the page files of one window and an index of them; nothing where they are there already."""
    if (folder / INDEX).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(f"{users}x{days}")  # noqa: S311 - the same pages every time
    names: list[str] = []
    total, row_count = Decimal(), 0
    groups: list[str] = []
    size = 0
    last_day = first_day + dt.timedelta(days=days)

    def flush(*, has_more: bool) -> None:
        nonlocal size
        number = len(names) + 1
        cursor = f'"page_{number + 1:06d}"' if has_more else "null"
        body = (
            f'{{"data":[{",".join(groups)}],"has_more":{"true" if has_more else "false"},"next_page":{cursor},'
            f'"data_refreshed_at":"{last_day}T08:00:00Z","organization_id":"org_01benchmark"}}'
        ).encode()
        name = f"{number:06d}.json"
        (folder / name).write_bytes(body)
        names.append(name)
        size += len(body)
        groups.clear()

    for rows, amount, count in _groups(users, days, first_day, chance):
        if len(groups) == GROUPS_PER_PAGE:
            flush(has_more=True)
        groups.append(rows)
        total += amount
        row_count += count
    flush(has_more=False)
    index = {
        "users": users,
        "first_day": str(first_day),
        "days": days,
        "pages": names,
        "bytes": size,
        "rows": row_count,
        "total_cents": str(total),
    }
    (folder / INDEX).write_text(json.dumps(index))


def _groups(users: int, days: int, first_day: dt.date, chance: random.Random) -> Iterator[tuple[str, Decimal, int]]:
    """Yield the rows of one user, day, product and model: JSON without brackets, their amount, their number."""
    people = []
    for number in range(users):
        first, last = chance.choice(_FIRST_NAMES), chance.choice(_LAST_NAMES)
        user_id = "user_01" + "".join(chance.choices(_LETTERS, k=22))
        people.append(
            f'{{"actor":{{"type":"user_actor","user_id":"{user_id}",'
            f'"email_address":"{first.lower()}.{last.lower()}.{number}@example.com","name":"{first} {last}",'
            f'"deleted":false}}'
        )
    for offset in range(days):
        day = first_day + dt.timedelta(days=offset)
        times = f',"starting_at":"{day}T00:00:00Z","ending_at":"{day + dt.timedelta(days=1)}T00:00:00Z"'
        for person in people:
            for product, tokens in _work(chance):
                dimensions = (
                    f'{person}{times},"product":"{product}","model":"{chance.choice(_MODELS)}",'
                    f'"context_window":"{"200k-1M" if chance.random() < _LONG else "0-200k"}",'
                    f'"inference_geo":"global","speed":"{"fast" if chance.random() < _FAST else "standard"}"'
                )
                rows, amount = [], Decimal()
                for token_type in tokens:
                    list_cents = Decimal(chance.randrange(1, 10**9)).scaleb(-6)
                    cents = (list_cents * 9).scaleb(-1)  # a tenth off: one more fractional digit
                    amount += cents
                    rows.append(
                        f'{dimensions},"cost_type":"tokens","token_type":"{token_type}","amount":"{cents}",'
                        f'"list_amount":"{list_cents}","currency":"USD","requests":null}}'
                    )
                yield ",".join(rows), amount, len(rows)


def _work(chance: random.Random) -> list[tuple[str, tuple[str, ...]]]:
    """Return what one user did on one day: products and the token types they cost."""
    work: list[tuple[str, tuple[str, ...]]] = [("claude_code", _TOKENS)]
    if chance.random() < _CHAT:
        work.append(("chat", _TOKENS[:2]))
    if chance.random() < _COWORK:
        work.append(("cowork", _TOKENS[:3]))
    return work


def main() -> None:
    """Write the pages named on the command line, in a process whose memory nobody measures."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("users", type=int)
    parser.add_argument("days", type=int)
    parser.add_argument("--separately", action="store_true", help="each day in a folder of its own, by its date")
    given = parser.parse_args()
    if given.separately:
        for day in (FIRST_DAY + dt.timedelta(days=number) for number in range(given.days)):
            write_pages(given.folder / str(day), given.users, 1, day)
    else:
        write_pages(given.folder, given.users, given.days)


if __name__ == "__main__":
    main()
