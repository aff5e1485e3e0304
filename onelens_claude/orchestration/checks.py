"""Asset checks beside the dbt tests. Each names the days and organisations in its metadata.

None is blocking: that a fact adds up is the dbt test `reconciliation_is_exact`; where it fails, nothing is published.

What is here: checks that need the settings, the ledger or several models. What to add here: another such check.
What must not go here: what a dbt test can express during the build.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import duckdb

from onelens_claude.alerts.standing import BUDGETS, OPEN_INCIDENTS
from onelens_claude.api.endpoints import ENDPOINTS, Endpoint
from onelens_claude.clock import utc_now
from onelens_claude.ledger.due import ROUNDING_DUST_CENTS
from onelens_claude.ledger.status import EndpointStatus, endpoint_status, in_spans
from onelens_claude.orchestration.assets.alerts import ANOMALY_CHECK, BUDGET_CHECK, COMPLETENESS_CHECK
from onelens_claude.orchestration.assets.raw import GROUP, WRITER_POOL
from onelens_claude.orchestration.resources import Onelens

_MARTS = "marts"
_SHOWN = 20


def build_checks() -> list[dg.AssetChecksDefinition]:
    """Return every check that is not a dbt test."""
    raw = [build(endpoint) for endpoint in ENDPOINTS.values() for build in (_build_completeness, _build_drift)]
    return [
        *raw,
        *[_build_mart_check(**check) for check in _MART_CHECKS],
        _build_budget_check(),
        _build_anomaly_check(),
    ]


def _build_completeness(endpoint: Endpoint) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=dg.AssetKey([GROUP, endpoint.name]),
        name=COMPLETENESS_CHECK,
        description="Every organisation of the settings has every day up to the newest that is available.",
        pool=WRITER_POOL,
    )
    def every_organization_is_complete(onelens: dg.ResourceParam[Onelens]) -> dg.AssetCheckResult:
        settings = onelens.settings()
        if endpoint not in settings.endpoints():
            return dg.AssetCheckResult(passed=True, description="Switched off in the settings (optional_endpoints).")
        with onelens.warehouse().working_reader() as connection:
            found = [
                endpoint_status(
                    connection,
                    organization.id,
                    endpoint,
                    utc_now(),
                    revision_days=settings.polling.revision_days,
                    first_wanted=settings.first_day(organization.id),
                )
                for organization in settings.organizations
            ]
        wrong = [one for one in found if not one.is_complete]
        return dg.AssetCheckResult(
            passed=not wrong,
            severity=dg.AssetCheckSeverity.ERROR,
            description="; ".join(one.in_words() for one in wrong or found),
            metadata={"organizations": _table(found)},
        )

    return every_organization_is_complete


def _table(found: Sequence[EndpointStatus]) -> dg.TableMetadataValue:
    return dg.MetadataValue.table(
        records=[
            dg.TableRecord(
                {
                    "organization": one.organization_id,
                    "state": one.state.value,
                    "complete up to": str(one.complete_through or ""),
                    "missing": in_spans(one.gaps) if one.gaps else "",
                    "reason": one.reason,
                }
            )
            for one in found
        ]
    )


def _build_drift(endpoint: Endpoint) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=dg.AssetKey([GROUP, endpoint.name]),
        name="no_new_fields",
        description="The API's answers hold only fields this version knows; each new one is reported once.",
        pool=WRITER_POOL,
    )
    def no_new_fields(
        context: dg.AssetCheckExecutionContext, onelens: dg.ResourceParam[Onelens]
    ) -> dg.AssetCheckResult:
        with onelens.warehouse().working_reader() as connection:
            rows = connection.execute(
                """select field, drift.organization_id, first_seen_at, run_id is not distinct from $run_id as is_new
                from claude_raw.schema_drift as drift
                join claude_raw.pulls on pull_id = first_pull_id
                where drift.endpoint = $endpoint
                order by all""",
                {"endpoint": endpoint.name, "run_id": context.run.run_id},
            ).fetchall()
        new = [f"{field} ({organization})" for field, organization, _, is_new in rows if is_new]
        return dg.AssetCheckResult(
            passed=not new,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"New fields, kept in the raw pages, not in the models: {', '.join(new)}" if new else "",
            metadata={"known_since": {f"{org}.{field}": str(seen) for field, org, seen, _ in rows}},
        )

    return no_new_fields


def _build_budget_check() -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=dg.AssetKey([_MARTS, "budget_status"]),
        name=BUDGET_CHECK,
        description="No budget's newest period has reached a percent of `warn_percent` (a warning) or is above its "
        "limit (an error). It never keeps data back.",
        pool=WRITER_POOL,
    )
    def budgets_are_kept(onelens: dg.ResourceParam[Onelens]) -> dg.AssetCheckResult:
        with onelens.warehouse().working_reader() as connection:
            columns, rows = _fetch(connection, f"from ({BUDGETS}) where status <> 'ok'")
        exceeded = sum(row[-1] == "exceeded" for row in rows)
        return dg.AssetCheckResult(
            passed=not rows,
            severity=dg.AssetCheckSeverity.ERROR if exceeded else dg.AssetCheckSeverity.WARN,
            description=f"{exceeded} budgets are exceeded, {len(rows) - exceeded} near their limit" if rows else "",
            metadata=_shown(columns, rows),
        )

    return budgets_are_kept


def _build_anomaly_check() -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=dg.AssetKey([_MARTS, "cost_anomalies"]),
        name=ANOMALY_CHECK,
        description="No incident is open; a runaway is an error, everything else a warning. It never keeps data back.",
        pool=WRITER_POOL,
    )
    def no_incident_is_open(onelens: dg.ResourceParam[Onelens]) -> dg.AssetCheckResult:
        with onelens.warehouse().working_reader() as connection:
            columns, rows = _fetch(connection, OPEN_INCIDENTS)
        runs_away = any(row[-1] == "runaway" for row in rows)
        return dg.AssetCheckResult(
            passed=not rows,
            severity=dg.AssetCheckSeverity.ERROR if runs_away else dg.AssetCheckSeverity.WARN,
            description=f"{len(rows)} incidents are open" if rows else "",
            metadata=_shown(columns, rows),
        )

    return no_incident_is_open


_MART_CHECKS: tuple[dict[str, Any], ...] = (
    {
        "table": "cost_reconciliation",
        "name": "no_remainder_is_negative",
        "description": "No day's users cost more than the organisation, beyond rounding dust "
        f"({ROUNDING_DUST_CENTS} cents), neither in all nor in a group; a day on which they do in all was already "
        "pulled a second time.",
        "severity": dg.AssetCheckSeverity.ERROR,
        "sql": """
            select organization_id, activity_date, total_cents, user_cents, unattributed_cents
            from marts.cost_reconciliation
            where status = 'negative_remainder'
            order by all""",
        "found": "days have users who cost more than the total",
    },
    {
        "table": "fct_claude_usage",
        "name": "no_usage_remainder_is_negative",
        "description": "No day's users used more of anything than the organisation: the two answers are then of "
        "different moments, and the next pull of the day makes it right.",
        "severity": dg.AssetCheckSeverity.ERROR,
        "sql": """
            select organization_id, activity_date, sum(total_tokens) as total_tokens, sum(requests) as requests
            from marts.fct_claude_usage
            where attribution = 'unattributed' and least(
                uncached_input_tokens, cache_read_input_tokens, cache_creation_5m_input_tokens,
                cache_creation_1h_input_tokens, output_tokens, total_tokens, web_search_requests) < 0
            group by all
            order by all""",
        "found": "days have users that used more than the total",
    },
    {
        "table": "fct_claude_usage",
        "name": "usage_and_cost_know_the_same_users_and_days",
        "description": "Every user with cost on a day has usage on it and, where all usage is billed, the reverse.",
        "severity": dg.AssetCheckSeverity.WARN,
        "sql": """
            with costs as (
                select distinct organization_id, activity_date, user_id, true as has_cost
                from marts.fct_claude_costs where attribution = 'user'
            ),
            usage as (
                select distinct organization_id, activity_date, user_id, true as has_usage
                from marts.fct_claude_usage where attribution = 'user'
            ),
            held_by_both as (
                select organization_id, activity_date
                from staging.stg_current_pulls
                where endpoint in ('user_cost_report', 'user_usage_report')
                group by all
                having count(*) = 2
            )
            select organization_id, activity_date, user_id,
                coalesce(has_cost, false) as has_cost, coalesce(has_usage, false) as has_usage
            from costs
            full join usage using (organization_id, activity_date, user_id)
            semi join held_by_both using (organization_id, activity_date)
            join marts.dim_claude_organizations using (organization_id)
            where has_usage is null or (has_cost is null and plan = 'usage')
            order by all""",
        "found": "users and days appear in only one of the two",
    },
)


def _build_mart_check(
    *,
    table: str,
    name: str,
    description: str,
    severity: dg.AssetCheckSeverity,
    sql: str,
    found: str,
) -> dg.AssetChecksDefinition:
    """Return a check that passes when `sql` finds no row."""

    @dg.asset_check(asset=dg.AssetKey([_MARTS, table]), name=name, description=description, pool=WRITER_POOL)
    def check(onelens: dg.ResourceParam[Onelens]) -> dg.AssetCheckResult:
        with onelens.warehouse().working_reader() as connection:
            columns, rows = _fetch(connection, sql)
        return dg.AssetCheckResult(
            passed=not rows,
            severity=severity,
            description=f"{len(rows)} {found}" if rows else "",
            metadata=_shown(columns, rows),
        )

    return check


def _shown(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Return metadata of the rows that a check found: how many, and the first of them."""
    metadata: dict[str, Any] = {"rows": len(rows)}
    if rows:
        records = [dg.TableRecord(dict(zip(columns, map(str, row), strict=True))) for row in rows[:_SHOWN]]
        metadata["first"] = dg.MetadataValue.table(records=records)
    return metadata


def _fetch(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    result = connection.execute(sql)
    return [column[0] for column in result.description or []], result.fetchall()
