"""Options that several commands share.

What is here: their names, help and completion. What to add here: an option of a second command with the same meaning.
What must not go here: what a command does with them.
"""

from __future__ import annotations

import typer

from onelens_claude.errors import OnelensError


def _organizations(incomplete: str) -> list[str]:
    """Offer the organisations of the settings; nothing where there are none to read."""
    from onelens_claude.settings import load_settings

    try:
        known = [organization.id for organization in load_settings(needs_keys=False).organizations]
    except OnelensError:
        return []
    return [one for one in known if one.startswith(incomplete)]


ORG_OPTION = typer.Option(None, "--org", metavar="ID", help="Only this organisation.", autocompletion=_organizations)
