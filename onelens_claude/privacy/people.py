"""The people in an answer's rows: where the API names one, and what is written in place of it.

A person is `actor`, `user`, `created_by`, or any other object with an address. Whatever else a row says
stays as it came, byte for byte; a row that changes is written anew, its numbers digit for digit.

What is here: finding people and addresses in rows, and writing the rows. What to add here: another field that names
somebody. What must not go here: who is meant (`forgotten.py`), stored pages (`bodies.py`).
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from onelens_claude.api.json_text import readable_json

if TYPE_CHECKING:
    from collections.abc import Callable

    Change = Callable[[Any], Any]
    """What becomes of a row: the row itself, another, or `DROPPED`."""

DROPPED = object()
ADDRESS = re.compile(r"[^\s@\"'<>()\[\],;:\\]+@[^\s@\"'<>()\[\],;:\\]+")
"""What looks like an address, in any text."""
_IDS = ("user_id", "id")
_ADDRESSES = ("email_address", "email")
_OBJECTS = ("actor", "user", "created_by")
_SIGNS = (b"email", b"@", b"\\u0040", *(f'"{name}"'.encode() for name in _OBJECTS))
"""A list of rows without any of them names nobody."""
_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode


class Person(NamedTuple):
    """Whom an object names."""

    user_id: str | None
    addresses: tuple[str, ...]
    name: str | None


def person_of(key: str, value: dict[str, Any]) -> Person | None:
    """Return whom an object of a row names; null where it is about something else."""
    if key not in _OBJECTS and not any(field in value for field in _ADDRESSES):
        return None
    ids = [value[field] for field in _IDS if isinstance(value.get(field), str)]
    addresses = tuple(value[field] for field in _ADDRESSES if isinstance(value.get(field), str))
    name = value.get("name")
    return Person(ids[0] if ids else None, addresses, name if isinstance(name, str) else None)


def changed_rows(rows: bytes, change: Change) -> bytes:
    """Return a JSON list of rows with each as `change` leaves it; the very same list where nothing changes."""
    if not any(sign in rows for sign in _SIGNS):
        return rows
    texts: list[bytes] = []
    is_changed = False
    for raw in _decode_list(readable_json(rows)):
        row = _decode(raw)
        new = change(row)
        is_changed = is_changed or new is DROPPED or new != row
        if new is not DROPPED:
            texts.append(bytes(raw) if new == row else _encode(new))
    return b"[" + b",".join(texts) + b"]" if is_changed else rows


def changed_values(
    value: Any, of_person: Callable[[str, Person, dict[str, Any]], Any], of_text: Callable[[str], str], key: str = ""
) -> Any:
    """Return a row with every object that names a person as `of_person` makes it, and every other text as `of_text`."""
    if isinstance(value, str):
        return of_text(value)
    if isinstance(value, list):
        return [changed_values(one, of_person, of_text, key) for one in value]
    if not isinstance(value, dict):
        return value
    person = person_of(key, value)
    if person:
        return of_person(key, person, value)
    return {name: changed_values(one, of_person, of_text, name) for name, one in value.items()}
