"""How people are named in what is stored: as the API names them, by pseudonyms, or not at all.

What is here: the section `privacy`, and what is stored of an address, a name and a pattern of addresses. Whatever the
settings say of people (budgets, teams) goes through `Pseudonyms`, to match what is stored. What to add here: another
thing that names people. What must not go here: where people stand in answers (`privacy/people.py`), rewriting what is
stored (`privacy/hiding.py`).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from typing import Literal

from onelens_claude.errors import SettingsError
from onelens_claude.settings.values import Section, Variable

Emails = Literal["clear", "pseudonym", "drop"]
HIDDEN = "(hidden)"
"""In place of an address in a text, where none is kept."""
_SHORTEST_KEY = 32
_ADDRESS = re.compile(r"[^\s@\"'<>()\[\],;:\\]+@[^\s@\"'<>()\[\],;:\\]+")
_DIGITS = 20
_PSEUDONYM = re.compile(rf"p-[0-9a-f]{{{_DIGITS}}}(@p-[0-9a-f]{{{_DIGITS}}})?")
_NO_NAMES = frozenset({"Deleted User"})
"""What the API says in place of a name."""


class Privacy(Section):
    """Whether addresses and names are stored as they come, as keyed pseudonyms, or not at all."""

    emails: Emails = "clear"
    pseudonym_key_env: Variable = "ONELENS_PSEUDONYM_KEY"

    def pseudonyms(self) -> Pseudonyms:
        """Return what is stored of people. Raises SettingsError where the key is missing or short."""
        if self.emails != "pseudonym":
            return Pseudonyms(self.emails)
        key = os.environ.get(self.pseudonym_key_env or "", "")
        where = f"privacy.pseudonym_key_env: environment variable {self.pseudonym_key_env}"
        if not key:
            raise SettingsError(f"{where} is not set; privacy.emails is pseudonym, which needs a key")
        if len(key) < _SHORTEST_KEY:
            raise SettingsError(
                f"{where} has {len(key)} characters; a key needs {_SHORTEST_KEY} (`openssl rand -hex 32` makes one)"
            )
        return Pseudonyms(self.emails, key.encode())


class Pseudonyms:
    """What is stored in place of an address or a name; the same for the same organisation and key.

    A pseudonym stays as it is, so that what was hidden once can be hidden again.
    """

    def __init__(self, emails: Emails = "clear", key: bytes = b"") -> None:
        self.emails = emails
        self._key = key

    def __repr__(self) -> str:
        return f"Pseudonyms({self.emails!r})"

    def address(self, organization_id: str, address: str) -> str | None:
        """Return what is stored of an address: hashes of all of it and of its domain, joined by `@`; null where none.

        A pattern whose local part is `*` is stored with the same domain, so it matches the same addresses as before.
        """
        if self.emails == "clear" or _PSEUDONYM.fullmatch(address):
            return address if self.emails != "drop" else None
        if self.emails == "drop":
            return None
        whole = address.casefold()
        local, _, domain = whole.rpartition("@")
        hashed = "*" if local == "*" else self._hash(organization_id, "address", whole)
        return f"{hashed}@{self._hash(organization_id, 'domain', domain)}"

    def name(self, organization_id: str, name: str) -> str | None:
        """Return what is stored of a person's name; null where none is."""
        if self.emails == "clear" or name in _NO_NAMES:
            return name
        if self.emails == "drop":
            return None
        return name if _PSEUDONYM.fullmatch(name) else self._hash(organization_id, "name", name.casefold())

    def text(self, organization_id: str, text: str) -> str:
        """Return a text in which no address is clear."""
        if self.emails == "clear" or "@" not in text:
            return text
        return _ADDRESS.sub(lambda found: self.address(organization_id, found[0]) or HIDDEN, text)

    def _hash(self, organization_id: str, kind: str, value: str) -> str:
        content = f"{organization_id}\0{kind}\0{value}".encode()
        return f"p-{hmac.new(self._key, content, hashlib.sha256).hexdigest()[:_DIGITS]}"


CLEAR = Pseudonyms()
"""People are stored as the API names them."""
