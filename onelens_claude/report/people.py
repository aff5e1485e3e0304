"""How a person is called on the page, and how nobody is named on one that is redacted.

What is here: the people of the warehouse in the order of what they spent, and text from elsewhere without what names
them. What to add here: another way in which a text could name somebody. What must not go here: what they spent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from onelens_claude.visible import visible
from onelens_claude.warehouse.connections import dicts

if TYPE_CHECKING:
    import duckdb

_ADDRESS = re.compile(r"[^\s@<>,;:\"'()|]+@[^\s@<>,;:\"'()|]+")
_HIDDEN = "(address)"
_NOBODYS = {"unattributed": "No user account", "erased": "Erased people"}


@dataclass(frozen=True)
class Person:
    """Who a line of spend belongs to: a user, all users beyond the named ones, or nobody's account."""

    organization_id: str
    user_id: str | None
    kind: str
    """`user`, `rest`, or why there is no account: `unattributed`, `erased`."""
    label: str
    detail: str = ""
    """What tells namesakes apart: the address where the label is a name."""
    is_deleted: bool = False
    count: int = 1


@dataclass
class People:
    """Everybody on the page, by position, and what their accounts are called in texts."""

    is_redacted: bool
    persons: list[Person] = field(default_factory=list)
    _labels: dict[tuple[str, str], str] = field(default_factory=dict)
    _positions: dict[tuple[str, str], int] = field(default_factory=dict)
    _named: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    _pattern: re.Pattern[str] | None = None

    def position(self, organization_id: str, user_id: str) -> int | None:
        """Return where an account stands among `persons`; null where it is not named."""
        return self._positions.get((organization_id, user_id))

    def label(self, organization_id: str, user_id: str) -> str:
        """Return what an account is called; one that no mart knows is called by its id, unless that is hidden."""
        known = self._labels.get((organization_id, user_id))
        return known or ("(unknown person)" if self.is_redacted else visible(user_id))

    def text(self, text: str | None, *, organization_id: str = "", user_id: str | None = None) -> str | None:
        """Return a text that may name people, such as a reason, as it may be shown.

        Where the page is redacted, the account it is about is called as on the page, and every other address and name
        is taken out.
        """
        if text is None:
            return None
        if self.is_redacted:
            for name in self._named.get((organization_id, user_id or ""), ()):
                text = text.replace(name, self.label(organization_id, user_id or ""))
            if self._pattern:
                text = self._pattern.sub("(name)", text)
            text = _ADDRESS.sub(_HIDDEN, text)
        return visible(text)

    def add(self, account: dict[str, Any], number: int, *, is_named: bool) -> None:
        """Take an account in; only those that are named get a position."""
        organization_id, user_id = account["organization_id"], account["user_id"]
        email, name = account["email"], account["name"]
        label = f"Person {number}" if self.is_redacted else visible(name or email or user_id)
        detail = visible(email) if name and email and not self.is_redacted else ""
        self._labels[organization_id, user_id] = label if is_named or not self.is_redacted else "(somebody else)"
        # the longest first, as an address may hold the name
        told = sorted({one for one in (email, name, user_id) if one}, key=len, reverse=True)
        self._named[organization_id, user_id] = tuple(told)
        if is_named:
            self._positions[organization_id, user_id] = len(self.persons)
            self.persons.append(
                Person(organization_id, user_id, "user", label, detail, is_deleted=bool(account["is_deleted"]))
            )

    def hide_names(self) -> None:
        """Learn every name of a person, so that `text` takes it out wherever it stands."""
        names = {one for told in self._named.values() for one in told if len(one) > 2}  # noqa: PLR2004 - initials
        if self.is_redacted and names:
            ordered = sorted(names, key=len, reverse=True)
            self._pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, ordered))})(?!\w)", re.IGNORECASE)


def read_people(connection: duckdb.DuckDBPyConnection, *, is_redacted: bool, most_named: int) -> People:
    """Return everybody with spend or usage in the table `spend_lines`, who spent most first; the rest is one each."""
    accounts = dicts(
        connection,
        """
        with spent as (
            select organization_id, user_id, sum(amount_cents) as amount_cents
            from spend_lines
            where user_id is not null
            group by all
        )

        select organization_id, user_id, email, name, is_deleted, spent.user_id is not null as has_spent
        from spent
        full join marts.dim_claude_users using (organization_id, user_id)
        where organization_id in (select organization_id from reported_organizations)
        order by spent.amount_cents desc nulls last, organization_id, user_id
        """,
    )
    people = People(is_redacted)
    spenders = [account for account in accounts if account["has_spent"]]
    for number, account in enumerate(accounts, start=1):
        people.add(account, number, is_named=account["has_spent"] and number <= most_named)
    people.hide_names()
    for organization_id in sorted({account["organization_id"] for account in spenders[most_named:]}):
        count = sum(one["organization_id"] == organization_id for one in spenders[most_named:])
        people.persons.append(Person(organization_id, None, "rest", f"{count:,} other people", count=count))
    for organization_id, attribution in connection.execute(
        "select distinct organization_id, attribution from spend_lines where user_id is null order by 1, 2 desc"
    ).fetchall():
        people.persons.append(Person(organization_id, None, attribution, _NOBODYS[attribution]))
    return people
