"""The command `forget`: erases a person or an organisation, and prints the receipt.

What is here: who is meant, the question before it, and the receipt. What to add here: another thing to ask or to show.
What must not go here: erasing (`privacy`), which the same asset does as in the UI.
"""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, Any

import typer

from onelens_claude.cli.options import ORG_OPTION
from onelens_claude.cli.output import note, print_json, print_table
from onelens_claude.errors import SettingsError, WarehouseError
from onelens_claude.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

    from onelens_claude.privacy.erasure import Held, Subject
    from onelens_claude.privacy.forgotten import Erasure, Forgotten
    from onelens_claude.settings import Settings


def forget(
    user: str | None = typer.Option(None, "--user", metavar="ID|EMAIL", help="The person, by id or address."),
    org: str | None = ORG_OPTION,
    dry_run: bool = typer.Option(False, "--dry-run", help="Only show what would go."),
    confirm: str | None = typer.Option(
        None, "--confirm", metavar="TEXT", help="The id or address once more, as typed; a terminal is asked for it."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Erase a person everywhere (`--user`, in one organisation with `--org`), or all of an organisation (`--org`).

    What the person cost stays, as the attribution `erased`. A later pull does not bring the person back. An
    organisation must no longer be in the settings. Receipts are kept in `marts.erasures`.
    """
    settings = load_settings(needs_keys=False)
    typed = user or org
    if not typed:
        raise SettingsError(
            "forget: say who is to be erased: --user ID or EMAIL, or --org ID for all of an organisation"
        )
    if not (settings.warehouse_path.exists() or settings.serving_path.exists()):
        raise WarehouseError(f"{settings.warehouse_path}: nothing is held yet, so there is nothing to forget")
    from onelens_claude.privacy.forgotten import Forgotten

    forgotten = Forgotten.beside(settings.warehouse_path)
    kind = "user" if user else "organization"
    before = forgotten.of(kind, typed)
    found, held = _found(settings, user, org, typed)
    if not held and not before:
        raise SettingsError(
            f"forget: nothing is held of {typed!r}{f' in {org}' if user and org else ''}; give a user id or an address "
            "as marts.dim_claude_users has it, or the id of an organisation that was loaded"
        )
    if dry_run:
        _print(held, typed, as_json=as_json, title="Would go")
        return
    if held:
        _confirm(typed, confirm)
    meant = {one.organization_id: {*one.user_ids, *one.addresses} for one in found} if user else {typed: {typed}}
    erasure = forgotten.add(kind, typed, getpass.getuser(), meant) if held or not before else before
    _erase(settings, forgotten, erasure, found, typed, as_json=as_json)


def _found(settings: Settings, user: str | None, org: str | None, typed: str) -> tuple[list[Subject], list[Held]]:
    """Return who is meant, and what is held of them. Raises SettingsError for an organisation that is still pulled."""
    from onelens_claude.privacy.erasure import held, held_of_organization, subjects
    from onelens_claude.warehouse.files import Warehouse

    if not user and any(one.id == typed for one in settings.organizations):
        raise SettingsError(
            f"{settings.source}: organizations.{typed}: is still in the settings and would be pulled again; remove it "
            "there, then run the same command again"
        )
    with Warehouse.of(settings).working_reader() as connection:
        if not user:
            return [], held_of_organization(connection, typed)
        found = subjects(connection, user, org, settings.pseudonyms())
        return found, [one for subject in found for one in held(connection, subject)]


def _confirm(typed: str, confirm: str | None) -> None:
    """Go on only if the id or address was typed twice. Raises SettingsError."""
    if confirm is None and sys.stdin.isatty():
        confirm = typer.prompt(f"This cannot be undone. Type {typed} to erase it", err=True)
    if confirm is None:
        raise SettingsError(f"forget: this cannot be undone; repeat what you typed: --confirm {typed}")
    if confirm != typed:
        raise SettingsError(f"forget: --confirm must repeat {typed!r} exactly; nothing was erased")


def _erase(
    settings: Settings, forgotten: Forgotten, erasure: Erasure, found: list[Subject], typed: str, *, as_json: bool
) -> None:
    """Run the job, look for what is left, and print the receipt; exit 1 where the job failed or something is left."""
    from onelens_claude.cli.runs import COMMAND_TAG, run_job
    from onelens_claude.orchestration.instance import prepare_home

    organizations = ", ".join(sorted(erasure.hashes))
    note(f"Erasing in {organizations}, then building the marts anew.")
    # The command line as it was typed is in no run's tags: it names the person.
    result = run_job("erasure_job", settings, tags={COMMAND_TAG: "onelens-claude forget"})
    left = _left(settings, found, prepare_home())
    receipt = _receipt(settings, erasure)
    ok = result.success and not left
    if as_json:
        print_json(
            {
                "ok": ok,
                "erasure_id": erasure.erasure_id,
                "kind": erasure.kind,
                "subject_hash": erasure.subject,
                "requested_at": erasure.requested_at,
                "requested_by": erasure.requested_by,
                "organizations": sorted(erasure.hashes),
                "erased": receipt,
                "left_in": left,
                "list": str(forgotten.path),
                "failures": list(result.failures),
            }
        )
    else:
        print_table(
            ["organisation", "place", "items", "erased at (UTC)"],
            [(one["organization_id"], one["place"], one["item_count"], one["erased_at"]) for one in receipt],
            title=f"Receipt {erasure.erasure_id}, asked for by {erasure.requested_by} at {erasure.requested_at}",
        )
        note(f"SHA-256 (keyed) of what was typed: {erasure.subject}")
        for failure in result.failures:
            note(f"failure: {failure}")
        for path in left:
            note(f"left: {path} still names {typed}")
        if not ok:
            note("Not everything worked; run the same command again, or `onelens-claude daily`, which goes on with it.")
    if not ok:
        raise typer.Exit(1)


def _left(settings: Settings, found: list[Subject], home: Path) -> list[str]:
    """Return the files of this installation whose bytes still have an id, an address or a name."""
    from onelens_claude.privacy.traces import Texts, files_that_quote

    texts = Texts({text for one in found for text in one.texts})
    files = [one for one in settings.warehouse_path.parent.rglob("*") if one.is_file()]
    files += [settings.serving_path, *files_that_quote(settings.warehouse_path, home)]
    return sorted({str(one) for one in files if texts.are_in_file(one)})


def _receipt(settings: Settings, erasure: Erasure) -> list[dict[str, Any]]:
    from onelens_claude.warehouse.connections import dicts
    from onelens_claude.warehouse.files import Warehouse

    with Warehouse.of(settings).working_reader() as connection:
        return dicts(
            connection,
            """select organization_id, place, item_count, applied_at, erased_at, run_id
            from claude_raw.erasures where erasure_id = ? order by applied_at, organization_id, place""",
            [erasure.erasure_id],
        )


def _print(held: list[Held], typed: str, *, as_json: bool, title: str) -> None:
    if as_json:
        print_json({"would_go": [{"organization_id": o.organization_id, "place": o.place, "items": o.item_count}
                                 for o in held]})  # fmt: skip
        return
    print_table(
        ["organisation", "place", "items"],
        [(one.organization_id, one.place, one.item_count) for one in held],
        title=f"{title}: {typed}",
    )
