"""Who was erased: a file beside the warehouse that knows a person again without naming anybody.

`forgotten.json` holds a random key and, per organisation, the HMAC-SHA256 of every erased id and address under it. It
is read again whenever it changes, so that no run brings somebody back who was erased while it ran; and it outlives a
warehouse that is restored from a backup, whose people are then erased again.

What is here: the file, and what it makes of rows. What to add here: another thing that tells an erased person.
What must not go here: erasing what is stored (`erasure.py`, `traces.py`).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from filelock import FileLock

from onelens_claude.api.row_types import ERASED_USER
from onelens_claude.clock import utc_now
from onelens_claude.errors import WarehouseError
from onelens_claude.privacy.people import ADDRESS, DROPPED, changed_rows, changed_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from onelens_claude.privacy.people import Person

ERASED_TEXT = "(erased)"
_NAME = "forgotten.json"
_WORD = re.compile(r"[^\s\"'<>()\[\],;:=&?/\\]+")


@dataclass(frozen=True, slots=True)
class Erasure:
    """One erasure that was asked for."""

    erasure_id: str
    kind: str
    """`user` or `organization`."""
    subject: str
    """HMAC-SHA256 of the id or address as it was typed."""
    requested_at: str
    requested_by: str
    hashes: Mapping[str, frozenset[str]]
    """Organisation to the hashes of the ids and addresses that are erased there; of an organisation, none."""


class Forgotten:
    """The file of who was erased."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._state: tuple[int, int, int] | None = None
        self._key = b""
        self.erasures: tuple[Erasure, ...] = ()
        self._hashes: dict[str, frozenset[str]] = {}
        self.reload()

    @classmethod
    def beside(cls, warehouse_path: Path) -> Forgotten:
        """Return the file of a warehouse."""
        return cls(warehouse_path.with_name(_NAME))

    def reload(self) -> None:
        """Read the file again if it changed. Raises WarehouseError where it cannot be read."""
        try:
            found = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):  # whoever writes there says what is wrong with it
            return
        state = (found.st_mtime_ns, found.st_size, found.st_ino)
        if state == self._state:
            return
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            erasures = tuple(
                Erasure(**{**one, "hashes": {name: frozenset(held) for name, held in one["hashes"].items()}})
                for one in content["erasures"]
            )
            self._key = bytes.fromhex(content["key"])
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise WarehouseError(
                f"{self.path}: who was erased cannot be read: {error}. Put the file back from a backup; without it, "
                "the next pull would bring erased people back"
            ) from None
        hashes: dict[str, set[str]] = {}
        for one in erasures:
            for name, held in one.hashes.items():
                hashes.setdefault(name, set()).update(held)
        self._hashes = {name: frozenset(held) for name, held in hashes.items()}
        self.erasures = erasures
        self._state = state

    def add(self, kind: str, typed: str, requested_by: str, found: Mapping[str, Iterable[str]]) -> Erasure:
        """Note an erasure, the one way to begin one: from now on nothing that is fetched names this person.

        `found` is organisation to ids and addresses. Asked for twice, it is one erasure.
        """
        with FileLock(f"{self.path}.lock"):
            self.reload()
            self._key = self._key or secrets.token_bytes(32)
            subject = self._hash("", typed)
            hashes = {name: frozenset(self._hash(name, one) for one in values) for name, values in found.items()}
            same = next((one for one in self.erasures if (one.kind, one.subject) == (kind, subject)), None)
            if same and all(held <= same.hashes.get(name, frozenset()) for name, held in hashes.items()):
                return same
            made = Erasure(uuid.uuid4().hex, kind, subject, utc_now().isoformat(), requested_by, hashes)
            self._write((*self.erasures, made))
            self.reload()
            return made

    def of(self, kind: str, typed: str) -> Erasure | None:
        """Return the erasure of this id or address, if it was asked for before."""
        if not self._key:
            return None
        subject = self._hash("", typed)
        return next((one for one in self.erasures if (one.kind, one.subject) == (kind, subject)), None)

    def drop_organization(self, organization_id: str) -> None:
        """Let an organisation that is in the settings again be pulled and kept."""
        with FileLock(f"{self.path}.lock"):
            self.reload()
            self._write(
                one for one in self.erasures if not (one.kind == "organization" and organization_id in one.hashes)
            )
            self.reload()

    def names(self, organization_id: str, text: str, *, within: Erasure | None = None) -> bool:
        """Tell whether a text is the id or address of somebody who was erased."""
        held = within.hashes.get(organization_id) if within else self._hashes.get(organization_id)
        return bool(held) and self._hash(organization_id, text) in (held or ())

    def in_organization(self, organization_id: str) -> Callable[[str, bytes], bytes]:
        """Return what makes of an endpoint's rows those that may be kept of an organisation's answer."""

        def kept(endpoint: str, rows: bytes) -> bytes:
            self.reload()
            if organization_id not in self._hashes:
                return rows
            try:
                return changed_rows(rows, self.change(organization_id, endpoint))
            except msgspec.DecodeError:  # an answer that is kept because it is not of the API's form
                text = rows.decode(errors="surrogateescape")
                return self.without_erased(organization_id, text).encode(errors="surrogateescape")

        return kept

    def change(self, organization_id: str, endpoint: str) -> Callable[[Any], Any]:
        """Return what becomes of a row: of `users` it goes, elsewhere it no longer says whose it is."""

        def is_erased(person: Person) -> bool:
            named = [person.user_id, *person.addresses]
            return any(self.names(organization_id, one) for one in named if one)

        def of_person(key: str, person: Person, value: dict[str, Any]) -> Any:
            if not is_erased(person):
                return value
            if key != "actor":
                return None
            nobody = dict.fromkeys(value)
            return {**nobody, "user_id": ERASED_USER} | ({"type": value["type"]} if "type" in value else {})

        def of_text(text: str) -> str:
            return ADDRESS.sub(lambda one: self._unless_erased(organization_id, one[0]), text) if "@" in text else text

        def change(row: Any) -> Any:
            user = row.get("user") if endpoint == "users" and isinstance(row, dict) else None
            new = changed_values(row, of_person, of_text)
            return DROPPED if user is not None and new["user"] is None else new

        return change

    def without_erased(self, organization_id: str, text: str) -> str:
        """Return a text of no known form without the ids and addresses of erased people."""
        self.reload()
        if organization_id not in self._hashes:
            return text
        return _WORD.sub(lambda one: self._unless_erased(organization_id, one[0]), text)

    def _unless_erased(self, organization_id: str, word: str) -> str:
        return ERASED_TEXT if self.names(organization_id, word.rstrip(".")) else word

    def _hash(self, organization_id: str, value: str) -> str:
        return hmac.new(self._key, f"{organization_id}\0{value.casefold()}".encode(), hashlib.sha256).hexdigest()

    def _write(self, erasures: Iterable[Erasure]) -> None:
        content = {
            "key": self._key.hex(),
            "erasures": [
                {
                    "erasure_id": one.erasure_id,
                    "kind": one.kind,
                    "subject": one.subject,
                    "requested_at": one.requested_at,
                    "requested_by": one.requested_by,
                    "hashes": {name: sorted(held) for name, held in one.hashes.items()},
                }
                for one in erasures
            ],
        }
        new = self.path.with_name(f"{self.path.name}.new")
        try:
            with new.open("w", encoding="utf-8") as file:
                os.fchmod(file.fileno(), 0o600)
                json.dump(content, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self.path)
        except OSError as error:
            raise WarehouseError(f"{self.path}: cannot be written: {error.strerror}; make it writable") from None
