"""Erasure as an asset: the receipts of what `forget` asked for, and of what `privacy.emails` had rewritten.

The command only notes who is meant (`privacy/forgotten.py`); this asset, which every `daily` runs too, erases whatever
the list still finds. So no clear id is in a run's configuration, a killed run is mended, and so is a backup.

What is here: the asset, and the order of its steps. What to add here: another place that a step clears.
What must not go here: what is erased (`privacy`).
"""

import uuid
from functools import partial
from pathlib import Path

import dagster as dg
import duckdb

from onelens_claude.alerts.log import AlertLog
from onelens_claude.clock import utc_now
from onelens_claude.errors import WarehouseError
from onelens_claude.landing.quarantine import Quarantine
from onelens_claude.orchestration.assets.raw import GROUP, OWNER, WRITER_POOL
from onelens_claude.orchestration.resources import Onelens
from onelens_claude.privacy.erasure import (
    Held,
    Subject,
    compact_after_erasure,
    erase_organization,
    erase_person,
    held_of_organization,
    record,
    subjects_of,
    texts_of_organization,
)
from onelens_claude.privacy.forgotten import Erasure, Forgotten
from onelens_claude.privacy.hiding import clear_people, hide_stored
from onelens_claude.privacy.traces import Texts, files_that_quote, redact_files, sweep_spool
from onelens_claude.settings import Settings
from onelens_claude.settings.privacy import HIDDEN
from onelens_claude.warehouse.connections import transaction

ERASURES_KEY = dg.AssetKey([GROUP, "erasures"])
_LOG_SECONDS = 60.0


@dg.asset(
    key=ERASURES_KEY,
    group_name=GROUP,
    kinds={"duckdb"},
    owners=[OWNER],
    description="Erases the people and organisations that `onelens-claude forget` named from raw pages, rows, models, "
    "alert log, refused answers, Dagster's log and the page, and keeps a receipt. Their cost stays, as `erased`. "
    "Also rewrites what is stored in clear though `privacy.emails` says otherwise. The serving copy follows with the "
    "next publication.",
    pool=WRITER_POOL,
)
def erasures(context: dg.AssetExecutionContext, onelens: dg.ResourceParam[Onelens]) -> dg.MaterializeResult[None]:
    """Erase whatever of the list is still held."""
    settings = onelens.settings()
    forgotten = Forgotten.beside(settings.warehouse_path)
    home = Path(context.instance.root_directory)
    run_id = context.run.run_id
    gone: list[Held] = []
    for erasure in forgotten.erasures:
        if erasure.kind == "organization":
            for organization_id in erasure.hashes:
                gone += _forget_organization(onelens, forgotten, erasure, organization_id, home, run_id)
            continue
        with onelens.warehouse().working_reader() as connection:
            found = subjects_of(connection, forgotten, erasure)
        for subject in found:
            gone += _forget_person(onelens, forgotten, erasure, subject, home, run_id)
    gone += _hide(onelens, home, run_id)  # whom the list knows by a clear address is gone by now
    compact_after_erasure(onelens.warehouse())
    for one in gone:
        context.log.info("%s: %s of %s erased", one.organization_id, one.item_count, one.place)
    return dg.MaterializeResult(
        metadata={"erasures": len(forgotten.erasures), "items": sum(o.item_count for o in gone)}
    )


def _hide(onelens: Onelens, home: Path, run_id: str) -> list[Held]:
    """Rewrite what is stored in clear though `privacy.emails` says otherwise; return what changed."""
    settings = onelens.settings()
    pseudonyms = settings.pseudonyms()
    changed: list[Held] = []
    if pseudonyms.emails == "clear":
        return changed
    with onelens.warehouse().working_reader() as connection:
        found = clear_people(connection, pseudonyms)
    for organization_id, clear in found.items():
        words = {one for one in clear if "@" in one or " " in one}
        traces = _clear_traces(settings, Subject(organization_id), Texts(words, HIDDEN), home)
        now = utc_now().isoformat()
        asked = Erasure(uuid.uuid4().hex, "emails", "", now, f"privacy.emails: {pseudonyms.emails}", {})
        on_done = partial(_record_hidden, asked, traces, run_id)
        changed += hide_stored(onelens.warehouse(), pseudonyms, organization_id, clear, on_done)
    return changed


def _record_hidden(
    asked: Erasure, elsewhere: list[Held], run_id: str, connection: duckdb.DuckDBPyConnection, hidden: list[Held]
) -> None:
    record(connection, asked, [*hidden, *elsewhere], run_id)


def _forget_person(
    onelens: Onelens, forgotten: Forgotten, erasure: Erasure, subject: Subject, home: Path, run_id: str
) -> list[Held]:
    """Clear the other files first: once the working file is done, nobody knows any longer what to look for."""
    elsewhere = _clear_traces(onelens.settings(), subject, Texts(subject.texts), home)
    with onelens.warehouse().writer() as connection, transaction(connection):
        gone = [*erase_person(connection, forgotten, subject), *elsewhere]
        record(connection, erasure, gone, run_id)
    return gone


def _forget_organization(
    onelens: Onelens, forgotten: Forgotten, erasure: Erasure, organization_id: str, home: Path, run_id: str
) -> list[Held]:
    settings = onelens.settings()
    if any(one.id == organization_id for one in settings.organizations):  # it was entered again, to be kept
        forgotten.drop_organization(organization_id)
        return []
    with onelens.warehouse().working_reader() as connection:
        if not held_of_organization(connection, organization_id):
            return []
        texts = texts_of_organization(connection, organization_id)
    elsewhere = _clear_traces(settings, Subject(organization_id), Texts(texts), home, whole=True)
    with onelens.warehouse().writer() as connection, transaction(connection):
        gone = [*erase_organization(connection, organization_id), *elsewhere]
        record(connection, erasure, gone, run_id)
    return gone


def _clear_traces(settings: Settings, subject: Subject, texts: Texts, home: Path, *, whole: bool = False) -> list[Held]:
    """Clear what is neither the working file nor its copy; return what went, by place."""
    log = AlertLog(settings.alerts_path)
    with log.exclusive(_LOG_SECONDS) as may_write:
        if not may_write:
            raise WarehouseError(
                f"{settings.alerts_path}: another run is telling channels; run the same command again when it has ended"
            )
        facts = log.forget_subject(subject.organization_id, subject.user_ids, texts.redacted, whole=whole)
    sweep_spool(settings.warehouse_path)
    refused = Quarantine(settings.warehouse_path.parent / "quarantine").forget_where(texts.are_in)
    files = redact_files(files_that_quote(settings.warehouse_path, home), texts)
    counts = {"alert log": facts, "quarantine": refused, "logs and page": files}
    return [Held(subject.organization_id, place, count) for place, count in counts.items() if count]
