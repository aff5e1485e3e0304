"""The raw assets: one factory over `api/endpoints.py`, day partitions, every organisation in each day.

What is here: how a run's partitions become calls of `Landing` and how outcomes become Dagster events.
What to add here: run configuration of raw assets, metadata of their events.
What must not go here: which days are due (`ledger`), how they are pulled (`landing`).
"""

import datetime as dt
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import dagster as dg
from pydantic import Field

from onelens_claude.api.endpoints import ENDPOINTS, Endpoint, Family
from onelens_claude.landing.landing import Landing
from onelens_claude.landing.work import DayOutcome, DayStatus
from onelens_claude.ledger.due import days_to_pull, overdrawn_days
from onelens_claude.ledger.held import not_pulled_since
from onelens_claude.orchestration.event_log import batch_of
from onelens_claude.orchestration.partitions import daily_partitions
from onelens_claude.orchestration.private_apis import NO_EVENT_MARK
from onelens_claude.orchestration.resources import Onelens
from onelens_claude.warehouse.settings_tables import store_settings

GROUP = "claude_raw"
OWNER = "team:finops"
_OF_SETTINGS = {
    "organizations": "The organisations of the settings, as the models need them.",
    "budgets": "The budgets of the settings, as the models need them; one that the settings drop is gone.",
    "anomaly_settings": "What the settings call worth a message: sensitivity and floors.",
    "holidays": "The holidays of the settings, which are no usual days.",
    "team_map": "Who pays for whom, from when to when: the rows of the settings and of their files.",
}
SETTINGS_KEYS = [dg.AssetKey([GROUP, name]) for name in _OF_SETTINGS]
WRITER_POOL = "warehouse_writer"
"""Every step that writes to the warehouse takes its one slot."""
_TOLD_EVERY = 120.0
"""Seconds: a window of many users has hundreds of pages before its pull is done."""
_FRESH_FOR = {Family.COST: dt.timedelta(hours=36), Family.ENGAGEMENT: dt.timedelta(days=5)}

Event = dg.AssetMaterialization | dg.AssetObservation | dg.MaterializeResult[None]


class IngestConfig(dg.Config):
    """Run configuration of the raw assets."""

    organizations: list[str] = Field(default=[])
    """Restrict the run to these; empty means every organisation in the settings."""
    only_due: bool = False
    """Pull only days that are new, missing, incomplete or due to settle, instead of every day of the range."""
    skip_pulled_since: str | None = None
    """Leave out days already pulled at or after this moment (RFC 3339): how an interrupted backfill goes on."""
    raise_failures: bool = True
    """Fail the step when a day loaded for no organisation; else the checks alone report it."""


def build_raw_asset(endpoint: Endpoint) -> dg.AssetsDefinition:
    """Return the asset `claude_raw/<endpoint>`."""

    @dg.asset(
        name=endpoint.name,
        key_prefix=GROUP,
        description=endpoint.description,
        partitions_def=daily_partitions(),
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name=GROUP,
        kinds={"duckdb", "python"},
        owners=[OWNER],
        tags={"family": endpoint.family.value, "source": "claude_enterprise_analytics_api"},
        metadata={
            "dagster/table_name": f"claude_raw.{endpoint.name}",
            "endpoint": endpoint.url_path,
            "window_days": endpoint.window_days,
        },
        pool=WRITER_POOL,
    )
    def raw(
        context: dg.AssetExecutionContext, config: IngestConfig, onelens: dg.ResourceParam[Onelens]
    ) -> Iterator[Event]:
        if endpoint not in onelens.settings().endpoints():
            context.log.info("%s is switched off in the settings (optional_endpoints).", endpoint.name)
            yield _without_events()
            return
        organizations = _organizations(config, onelens)
        days = [dt.date.fromisoformat(key) for key in context.partition_keys]
        wanted: Mapping[str, list[dt.date]] = dict.fromkeys(organizations, days)
        if config.only_due:
            wanted = _due(onelens, endpoint, organizations, days)
        if config.skip_pulled_since:
            wanted = _not_pulled_since(onelens, endpoint, wanted, dt.datetime.fromisoformat(config.skip_pulled_since))
        context.log.info("%s", _announcement(endpoint, wanted))
        landing = onelens.landing(endpoint.name, _progress_logger(context, endpoint))
        outcomes = landing.land(endpoint, wanted, run_id=context.run.run_id)
        if "amount" in endpoint.columns:
            outcomes = _pull_overdrawn_again(context, landing, onelens, outcomes)
        yield from _emit(context, endpoint, days, outcomes, raise_failures=config.raise_failures)

    policy = dg.FreshnessPolicy.time_window(fail_window=_FRESH_FOR[endpoint.family])
    return raw.map_asset_specs(lambda spec: dg.apply_freshness_policy(spec, policy))


def build_raw_assets() -> list[dg.AssetsDefinition]:
    """Return the raw assets, those of optional endpoints included: the graph is the same for everybody."""
    with warnings.catch_warnings():
        # backfill_policy is beta in the Dagster version pinned; a range must be one run, and a test holds it.
        warnings.simplefilter("ignore", category=dg.BetaWarning)
        return [build_raw_asset(endpoint) for endpoint in ENDPOINTS.values()]


def build_ledger_assets() -> list[dg.AssetSpec | dg.AssetsDefinition]:
    """Return the tables beside the endpoints': the ledger, the alert log, and the settings' part."""
    pulls = dg.AssetSpec(
        [GROUP, "pulls"],
        deps=[dg.AssetKey([GROUP, endpoint]) for endpoint in ENDPOINTS],
        group_name=GROUP,
        owners=[OWNER],
        kinds={"duckdb"},
        description="The ledger: one row per completed or failed pull of one endpoint, organisation and window.",
    )
    log = dg.AssetSpec(
        [GROUP, "alert_log"],
        group_name=GROUP,
        owners=[OWNER],
        kinds={"duckdb"},
        description="The alert log, as `serving/alerts` copies it from its own file before each publication.",
    )
    return [pulls, log, settings_tables]


@dg.multi_asset(
    name="settings",
    specs=[
        dg.AssetSpec([GROUP, name], group_name=GROUP, kinds={"duckdb"}, owners=[OWNER], description=description)
        for name, description in _OF_SETTINGS.items()
    ],
    pool=WRITER_POOL,
)
def settings_tables(onelens: dg.ResourceParam[Onelens]) -> Iterator[dg.MaterializeResult[None]]:
    """Write what the settings say, so that a new name, plan or budget reaches the models without a pull."""
    settings = onelens.settings()
    with onelens.warehouse().writer() as connection:
        store_settings(connection, settings)
    anomalies = settings.anomalies
    for name, values in (
        ("organizations", [one.id for one in settings.organizations]),
        ("budgets", [one.id for one in settings.budgets]),
        ("anomaly_settings", [anomalies.sensitivity, f"${anomalies.floor_usd}", f"{anomalies.floor_tokens} tokens"]),
        ("holidays", [str(day) for day in anomalies.holidays]),
        ("team_map", sorted({row.team for row in settings.team_map})),
    ):
        yield dg.MaterializeResult(asset_key=[GROUP, name], metadata={name: ", ".join(values)})


def _organizations(config: IngestConfig, onelens: Onelens) -> list[str]:
    settings = onelens.settings()
    if not config.organizations:
        return [organization.id for organization in settings.organizations]
    return [settings.organization(one).id for one in config.organizations]


def _due(
    onelens: Onelens, endpoint: Endpoint, organizations: list[str], days: list[dt.date]
) -> dict[str, list[dt.date]]:
    settings = onelens.settings()
    with onelens.warehouse().working_reader() as connection:
        return {
            organization: days_to_pull(
                connection,
                organization,
                endpoint,
                revision_days=settings.polling.revision_days,
                days=days,
                first_wanted=settings.first_day(organization),
            )
            for organization in organizations
        }


def _not_pulled_since(
    onelens: Onelens, endpoint: Endpoint, wanted: Mapping[str, list[dt.date]], since: dt.datetime
) -> dict[str, list[dt.date]]:
    with onelens.warehouse().working_reader() as connection:
        return {
            organization: not_pulled_since(connection, organization, endpoint, days, since)
            for organization, days in wanted.items()
        }


def _pull_overdrawn_again(
    context: dg.AssetExecutionContext, landing: Landing, onelens: Onelens, outcomes: list[DayOutcome]
) -> list[DayOutcome]:
    """Pull a day once more where users add up to more than the total: the answers are from different moments.

    Users first, so that growth in between cannot make the remainder negative again.
    """
    loaded = defaultdict(list)
    for one in outcomes:
        if one.status is DayStatus.LOADED:
            loaded[one.organization_id].append(one.day)
    with onelens.warehouse().working_reader() as connection:
        overdrawn = {
            organization: found
            for organization, days in loaded.items()
            if (found := overdrawn_days(connection, organization, days))
        }
    if not overdrawn:
        return outcomes
    for organization, days in overdrawn.items():
        context.log.warning(
            "%s: users cost more than the organisation on %s: answers from different moments; pulling both again",
            organization,
            ", ".join(map(str, days)),
        )
    this_endpoint = context.asset_key.path[-1]
    again: dict[tuple[str, dt.date], DayOutcome] = {}
    for name in ("user_cost_report", "cost_report"):
        for one in landing.land(ENDPOINTS[name], overdrawn, run_id=context.run.run_id):
            if name == this_endpoint and one.status is DayStatus.LOADED:
                again[one.organization_id, one.day] = one
    return [again.get((one.organization_id, one.day), one) for one in outcomes]


def _emit(
    context: dg.AssetExecutionContext,
    endpoint: Endpoint,
    days: list[dt.date],
    outcomes: list[DayOutcome],
    *,
    raise_failures: bool,
) -> Iterator[Event]:
    """Turn outcomes into events: a day is materialised only when an organisation's answer for it is loaded.

    When every day of the run is, Dagster writes its own events in one batch. Otherwise the loaded days are written
    one by one, the others become observations with the reason, and the output carries none of its own, so that
    downstream steps still run on what is there. Events are yielded, not logged: those logged before a failure are lost.
    """
    by_day: dict[dt.date, list[DayOutcome]] = defaultdict(list)
    for one in outcomes:
        by_day[one.day].append(one)
    loaded = [day for day in days if any(one.status is DayStatus.LOADED for one in by_day[day])]
    if loaded == days:
        for day in days:
            context.add_asset_metadata(_day_metadata(endpoint, by_day[day]), partition_key=str(day))
        yield dg.MaterializeResult()
        return
    failed = []
    with batch_of(context.instance):
        for day in days:
            if day in loaded:
                yield dg.AssetMaterialization(
                    context.asset_key, partition=str(day), metadata=_day_metadata(endpoint, by_day[day])
                )
            elif by_day[day]:
                yield dg.AssetObservation(
                    context.asset_key,
                    partition=str(day),
                    description=by_day[day][0].reason,
                    metadata=_day_metadata(endpoint, by_day[day]),
                )
                failed += [one for one in by_day[day] if one.status is DayStatus.FAILED]
    _log_skipped(context, endpoint, by_day, loaded)
    if failed and raise_failures:
        raise dg.Failure(
            description=_summary_of(failed),
            metadata={"organizations": ", ".join(sorted({one.organization_id for one in failed}))},
            allow_retries=False,
        )
    yield _without_events()


def _without_events() -> dg.MaterializeResult[None]:
    """Return a result that lets downstream steps run but marks no partition as materialised."""
    return dg.MaterializeResult(metadata={NO_EVENT_MARK: True})


def _day_metadata(endpoint: Endpoint, outcomes: list[DayOutcome]) -> dict[str, Any]:
    loaded = [one for one in outcomes if one.status is DayStatus.LOADED]
    stamps = [one.data_refreshed_at for one in loaded if one.data_refreshed_at]
    # Figures as text: Dagster's numbers are floats, and its plots keep the highest of several pulls of a day.
    metadata: dict[str, Any] = {
        "organizations": "; ".join(f"{one.organization_id}: {_in_words(one)}" for one in outcomes),
        "rows": str(sum(one.row_count for one in loaded)),
        "pages": str(sum(one.page_count for one in loaded)),
        "bytes": str(sum(one.byte_count for one in loaded)),
    }
    if stamps:
        metadata["data_refreshed_at"] = dg.MetadataValue.timestamp(min(stamps))
    if "amount" in endpoint.columns:
        amounts = [one.amount_cents for one in loaded if one.amount_cents is not None]
        metadata["amount_cents"] = str(sum(amounts)) if amounts else "0"
    return metadata


def _in_words(outcome: DayOutcome) -> str:
    if outcome.status is DayStatus.LOADED:
        return f"{outcome.row_count} rows"
    return f"{outcome.status.value} ({outcome.reason})"


def _log_skipped(
    context: dg.AssetExecutionContext,
    endpoint: Endpoint,
    by_day: Mapping[dt.date, list[DayOutcome]],
    loaded: list[dt.date],
) -> None:
    reasons: dict[tuple[str, str], list[dt.date]] = defaultdict(list)
    for day, outcomes in by_day.items():
        for one in outcomes:
            if one.status is not DayStatus.LOADED and day not in loaded:
                reasons[one.organization_id, one.reason].append(day)
    for (organization, reason), days in reasons.items():
        span = str(days[0]) if len(days) == 1 else f"{min(days)}..{max(days)}"
        context.log.warning("%s: %s %s is skipped: %s", organization, endpoint.name, span, reason)


def _summary_of(failed: list[DayOutcome]) -> str:
    """Return one line per organisation with its first reason and the number of days."""
    lines = []
    for organization in sorted({one.organization_id for one in failed}):
        of_one = [one for one in failed if one.organization_id == organization]
        lines.append(f"{len(of_one)} days did not load: {of_one[0].reason}")
    return "\n".join(lines)


def _announcement(endpoint: Endpoint, wanted: Mapping[str, list[dt.date]]) -> str:
    parts = [
        f"{organization} {len(days)} days ({min(days)}..{max(days)})" if days else f"{organization} nothing due"
        for organization, days in wanted.items()
    ]
    return f"{endpoint.name}: " + "; ".join(parts)


def _progress_logger(context: dg.AssetExecutionContext, endpoint: Endpoint) -> Callable[[int, int, int], None]:
    """Return a callback that logs about every tenth of the work, and every few minutes what goes on in between."""
    began = told_at = time.monotonic()
    told = 0

    def log(done: int, total: int, pages: int) -> None:
        nonlocal told, told_at
        now = time.monotonic()
        if total > 1 and done * 10 // total > told * 10 // total:
            left = (now - began) / done * (total - done) / 60
            context.log.info("%s: %s of %s pulls, about %.0f minutes left", endpoint.name, done, total, left)
            told, told_at = done, now
        elif now - told_at > _TOLD_EVERY:
            context.log.info("%s: %s pages so far", endpoint.name, pages)
            told_at = now

    return log
