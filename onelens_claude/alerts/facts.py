"""What there is to tell, found in the marts, the ledger and the settings: one function per event.

Every function reads one database file as it is. Facts of Dagster's own (runs, checks) come from `orchestration`.

What is here: the queries and the sentences. What to add here: another event.
What must not go here: whether a fact was told before (`log.py`), and where it goes (`delivery.py`).
"""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from onelens_claude.alerts.fact import EVERYWHERE, Fact, Severity, dollars, line, literal, named
from onelens_claude.errors import UnreadableKeyError
from onelens_claude.keys import digest
from onelens_claude.ledger.status import all_statuses, in_spans, without_place
from onelens_claude.states import EndpointState
from onelens_claude.warehouse.connections import dicts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    import duckdb

    from onelens_claude.ledger.status import EndpointStatus
    from onelens_claude.settings import Settings

PAST_AFTER = dt.timedelta(days=7)
"""What ended longer ago is history when it is first seen."""
KEY_DAYS = 90
KEY_NOTICE = dt.timedelta(days=7)
_WHOLE = 100
_REFUSED = {EndpointState.GAPS, EndpointState.FAILED, EndpointState.FORBIDDEN}
_SPAN = {"daily": "on {0}", "weekly": "in the week of {0} to {1}", "monthly": "in {0:%B %Y}"}


def mart_facts(connection: duckdb.DuckDBPyConnection, settings: Settings, now: dt.datetime) -> list[Fact]:
    """Return everything to tell of budgets, anomalies and late data; marts that are not built have nothing."""
    known = {organization.id for organization in settings.organizations}
    found = [*_budget_facts(connection, now), *_anomaly_facts(connection, now), *_data_facts(connection, settings, now)]
    return [fact for fact in found if fact.organization_id in known]


def runaway_facts(connection: duckdb.DuckDBPyConnection, settings: Settings, now: dt.datetime) -> list[Fact]:
    """Return who runs away on the running day: what a look changes, and nothing that a build may be changing."""
    known = {organization.id for organization in settings.organizations}
    found = _anomaly_facts(connection, now)
    return [fact for fact in found if fact.organization_id in known and fact.data["kind"] == _RUNAWAY]


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> set[str]:
    rows = connection.execute(
        "select column_name from duckdb_columns() where schema_name = 'marts' and table_name = ? "
        "and database_name = current_database()",
        [table],
    ).fetchall()
    return {name for (name,) in rows}


_CROSSINGS = """
select crossings.*, spent_usd, percent_used, status, provisional_day_count, unknown_day_count, first_unknown_date,
    coalesce(users.email, users.name) as user_name
from marts.budget_crossings as crossings
join marts.budget_status as standing using (organization_id, budget_id, scope_value, period_start)
left join marts.dim_claude_users as users
    on crossings.scope = 'user' and crossings.organization_id = users.organization_id
    and crossings.scope_value = users.user_id
"""
_BEYOND_LIMIT = """
select standing.*, coalesce(users.email, users.name) as user_name
from marts.budget_status as standing
left join marts.dim_claude_users as users
    on scope = 'user' and standing.organization_id = users.organization_id and scope_value = users.user_id
where {condition}
"""


def _budget_facts(connection: duckdb.DuckDBPyConnection, now: dt.datetime) -> Iterator[Fact]:
    standing = _columns(connection, "budget_status")
    if not standing or not _columns(connection, "budget_crossings"):
        return
    for row in dicts(connection, _CROSSINGS):
        percent = row["threshold_percent"]
        since = (
            f"{percent} % was reached on {row['crossed_on']} (known since {row['first_known_at']:%Y-%m-%d %H:%M} UTC)."
        )
        yield _budget_fact(
            row,
            now,
            threshold=f"{percent}%",
            rank=percent,
            severity="critical" if percent >= _WHOLE or row["status"] == "exceeded" else "warning",
            happened=f"reached {percent} % of {dollars(row['limit_usd'])}",
            since=since,
            occurred_on=row["crossed_on"],
            is_withdrawn=row["uncrossed_at"] is not None,
        )
    # a budget may have no threshold at 100 %, and its limit is news all the same
    beyond = f"status = 'exceeded' and coalesce(threshold_crossed, 0) < {_WHOLE}"
    for row in dicts(connection, _BEYOND_LIMIT.format(condition=beyond)):
        yield _budget_fact(
            row,
            now,
            threshold="limit",
            rank=_WHOLE,
            severity="critical",
            happened=f"exceeded {dollars(row['limit_usd'])}",
            since=f"The newest day counted is {row['newest_date']}.",
            occurred_on=row["newest_date"],
        )
    if "forecast_usd" not in standing:
        return
    for row in dicts(connection, _BEYOND_LIMIT.format(condition="status = 'forecast_exceeded'")):
        low, high = row.get("forecast_low_usd"), row.get("forecast_high_usd")
        span = f", likely {dollars(low)} to {dollars(high)}" if low is not None and high is not None else ""
        yield _budget_fact(
            row,
            now,
            threshold="forecast",
            rank=-1,
            severity="warning",
            happened=f"is forecast to exceed {dollars(row['limit_usd'])}",
            since=f"Forecast for the period's end: {dollars(row['forecast_usd'])}{span}, as of {row['newest_date']}.",
            occurred_on=row["newest_date"],
            impact_usd=row["forecast_usd"] - row["limit_usd"],
        )


def _budget_fact(
    row: Mapping[str, Any],
    now: dt.datetime,
    *,
    threshold: str,
    rank: int,
    severity: Severity,
    happened: str,
    since: str,
    occurred_on: dt.date,
    is_withdrawn: bool = False,
    impact_usd: Decimal | None = None,
) -> Fact:
    organization, budget = row["organization_id"], row["budget_id"]
    start, end = row["period_start"], row["period_end"]
    member = {"organization": "", "user": f" for {named(row['user_name'] or row['scope_value'])}"}.get(
        row["scope"], f" for {row['scope']} {named(row['scope_value'])}"
    )
    span = _SPAN[row["period"]].format(start, end)
    spent = f"Spent so far: {dollars(row['spent_usd'])} of {dollars(row['limit_usd'])} ({row['percent_used']:.1f} %)."
    reasons = ["Credits are deducted."] if row["spent_usd"] < 0 else []
    if row["provisional_day_count"]:
        reasons.append(f"{_days(row['provisional_day_count'])} of it can still be revised.")
    if row["unknown_day_count"]:
        reasons.append(
            f"{_days(row['unknown_day_count'])} not wholly known, the first is {row['first_unknown_date']}; "
            "what is known is counted."
        )
    condition = {"user": "user_id", "product": "product", "model": "model"}.get(row["scope"])
    return Fact(
        event="budget",
        organization_id=organization,
        identity=(
            budget,
            row["scope"],
            row["scope_value"],
            row["period"],
            str(start),
            f"{threshold} of {row['limit_usd'].normalize():f}",
        ),
        severity=severity,
        occurred_on=occurred_on,
        title=f"{organization}: budget {budget}{member} {happened} {span}",
        text="\n".join([spent, since, *reasons]),
        impact_usd=row["spent_usd"] if impact_usd is None else impact_usd,
        data={
            "budget_id": budget,
            "scope": row["scope"],
            "scope_value": row["scope_value"],
            "period": row["period"],
            "period_start": str(start),
            "period_end": str(end),
            "threshold": threshold,
            "limit_usd": f"{row['limit_usd']:f}",
            "spent_usd": f"{row['spent_usd']:f}",
            "percent_used": f"{row['percent_used']:f}",
            "provisional_day_count": row["provisional_day_count"],
            "unknown_day_count": row["unknown_day_count"],
        },
        query=_team_costs(organization, start, end, row["scope_value"])
        if row["scope"] == "team"
        else _costs(organization, start, end, {condition: row["scope_value"]} if condition else {}),
        page="assets/marts/budget_status",
        group=(budget, row["scope_value"], str(start), "forecast" if threshold == "forecast" else "spend"),
        rank=rank,
        is_past=end < (now - PAST_AFTER).date(),
        is_withdrawn=is_withdrawn,
    )


_INCIDENTS = """
with incidents as (
    select organization_id, incident_id, any_value(scope) as scope, any_value(scope_value) as scope_value,
        any_value(metric) as metric, min(activity_date) as first_day, max(activity_date) as last_day,
        -- windows of several days overlap: what they say is not to be added up
        greatest(sum(impact_usd) filter (kind not in ('sustained', 'chronic')), max(impact_usd)) as impact_usd,
        arg_max(kind, coalesce(abs(score), 0)) as kind,
        arg_max(reason, coalesce(abs(score), 0)) as reason,
        arg_max({'actual': actual, 'expected': expected, 'low': low, 'high': high, 'score': score},
            coalesce(abs(score), 0)) as measured,
        bool_and(status = 'revised_away') as is_withdrawn
    from marts.cost_anomalies
    where incident_id is not null
    group by organization_id, incident_id
)
select incidents.*, coalesce(email, name, user_id) as user_name
from incidents
left join marts.dim_claude_users as users
    on scope in ('user', 'user_product') and incidents.organization_id = users.organization_id
    and split_part(scope_value, '/', 1) = user_id
"""
_RUNAWAY = "runaway"
_ANOMALY_SEVERITY: dict[str, Severity] = {_RUNAWAY: "critical"}
_SCOPE_COLUMNS = {"user": ("user_id",), "user_product": ("user_id", "product"), "product": ("product",)}
_SCOPE_COLUMNS |= {"model": ("model",), "organization": ()}
_DAYS_BEFORE = dt.timedelta(days=14)
_MONEY = "amount_usd"


def _anomaly_facts(connection: duckdb.DuckDBPyConnection, now: dt.datetime) -> Iterator[Fact]:
    """Yield each incident. One cause shows in several series: of a person, and of products and models, one is told."""
    if not _columns(connection, "cost_anomalies"):
        return
    for row in dicts(connection, _INCIDENTS):
        organization, scope, value = row["organization_id"], row["scope"], row["scope_value"]
        first, last, impact = row["first_day"], row["last_day"], row["impact_usd"]
        is_money = row["metric"] == _MONEY
        is_of_person = scope in {"user", "user_product"}
        figures = {name: _figure(one, row["metric"]) for name, one in row["measured"].items() if name != "score"}
        columns = _SCOPE_COLUMNS.get(scope, ())
        yield Fact(
            event="anomaly",
            organization_id=organization,
            identity=(scope, value, row["metric"], str(row["incident_id"])),
            severity=_ANOMALY_SEVERITY.get(row["kind"], "warning"),
            occurred_on=first,
            title=f"{organization}: {row['kind'].replace('_', ' ')} in {'spend' if is_money else 'tokens'}"
            f"{_whose(row)} since {first}" + (f" ({dollars(impact)})" if impact is not None else ""),
            text="\n".join(
                [
                    line(row["reason"] or ""),
                    f"Since {first}" + (f", up to {last}." if last != first else "."),
                    "Actual {actual}, expected {expected}, band {low} to {high}.".format(**figures),
                ]
            ),
            impact_usd=impact,
            data={
                "incident_id": str(row["incident_id"]),
                "scope": scope,
                "scope_value": value,
                "kind": row["kind"],
                "metric": row["metric"],
                "first_day": str(first),
                "last_day": str(last),
                **{name: None if one is None else str(one) for name, one in row["measured"].items()},
            },
            query=_hours(organization, first)
            if row["kind"] == _RUNAWAY
            else _costs(
                organization, first - _DAYS_BEFORE, last, dict(zip(columns, value.split("/", 1), strict=False))
            ),
            page="assets/marts/cost_anomalies",
            group=("person", value.split("/", 1)[0]) if is_of_person else ("segments",),
            cause=("person", value.split("/", 1)[0], str(first)) if is_of_person else (),
            rank=(is_money << 60) + int((impact or 0) * 100),
            is_past=last < (now - PAST_AFTER).date(),
            is_withdrawn=row["is_withdrawn"],
        )


def _whose(row: Mapping[str, Any]) -> str:
    """Return what a series is of, as a part of a sentence; nothing for the organisation, which is named anyway."""
    if row["scope"] == "organization":
        return ""
    if row["scope"] in {"user", "user_product"}:
        user, _, product = row["scope_value"].partition("/")
        return f" of {named(row['user_name'] or user)}" + (f" on {named(product)}" if product else "")
    return f" of {row['scope']} {named(row['scope_value'])}"


def _figure(value: Decimal | None, metric: str) -> str:
    if value is None:
        return "unknown"
    return dollars(value) if metric == _MONEY else f"{value:,.0f}"


def _data_facts(connection: duckdb.DuckDBPyConnection, settings: Settings, now: dt.datetime) -> Iterator[Fact]:
    """Yield each endpoint's condition: days are missing, or it was refused. An organisation's are one alert."""
    by_organization: dict[str, list[EndpointStatus]] = {}
    for one in all_statuses(connection, settings, now):
        by_organization.setdefault(one.organization_id, []).append(one)
    for organization, statuses in by_organization.items():
        wrong = [one for one in statuses if one.state in _REFUSED]
        lines = [_in_words(one) for one in wrong]
        for one in statuses:
            yield Fact(
                event="data_quality",
                organization_id=organization,
                identity=("endpoint", one.endpoint),
                severity="critical" if one.state is EndpointState.FORBIDDEN else "warning",
                occurred_on=min(one.gaps, default=now.date()),
                title=f"{organization}: {_some(len(wrong), 'endpoint')} late, failed or refused",
                text="\n".join([*lines, "Marts show what is there; `onelens-claude daily` asks for what is missing."]),
                data={"endpoints": [other.endpoint for other in wrong], "missing_days": len(one.gaps)},
                query="select endpoint, window_start, window_end, error_type, request_id, fetched_at "
                f"from claude_raw.pulls where organization_id = {literal(organization)} and status = 'failed' "
                "order by fetched_at desc limit 50",
                page=f"assets/claude_raw/{one.endpoint}",
                group=("endpoints",),
                holds=one in wrong,
            )


def _in_words(one: EndpointStatus) -> str:
    missing = f", missing {in_spans(one.gaps)}" if one.gaps else ""
    reason = without_place(one.reason, one.organization_id, one.endpoint)
    return f"{one.endpoint}: {one.state.value}{missing}{f': {reason}' if reason else ''}"


def key_digests(settings: Settings) -> set[tuple[str, str]]:
    """Return each organisation with the SHA-256 of each of its keys, as far as keys can be read here."""
    found = set()
    for organization in settings.organizations:
        for source in organization.key_sources:
            with suppress(UnreadableKeyError):  # whoever pulls is told; here it only has no age
                found.add((organization.id, digest(source.read())))
    return found


def key_facts(first_seen: Mapping[tuple[str, str], dt.datetime], now: dt.datetime) -> Iterator[Fact]:
    """Yield a fact for each key in use that is about to be 90 days old: (organisation, digest) to when it was new."""
    for (organization, sha256), seen_at in first_seen.items():
        due = (seen_at + dt.timedelta(days=KEY_DAYS)).date()
        if now.date() < due - KEY_NOTICE:
            continue
        age = (now.date() - seen_at.date()).days
        yield Fact(
            event="key_rotation",
            organization_id=organization,
            identity=("key", sha256),
            severity="warning" if now.date() < due else "critical",
            occurred_on=due,
            title=f"{organization}: the API key is {_days(age)} old; rotate it by {due}",
            text=f"The key was first used here on {seen_at.date()}. Create a new one with the scope read:analytics, "
            "put it where the settings say, and revoke the old one; the next request uses the new one.",
            data={"first_seen_on": str(seen_at.date()), "age_days": age, "rotate_by": str(due)},
            query="select max(fetched_at) as last_used_at from claude_raw.pulls "
            f"where organization_id = {literal(organization)} and status = 'complete'",
        )


def run_failure(run_id: str, job: str, error: str, failed_at: dt.datetime) -> Fact:
    """Return the fact of a run that failed."""
    return Fact(
        event="run_failure",
        organization_id=EVERYWHERE,
        identity=("run", run_id),
        severity="critical",
        occurred_on=failed_at.date(),
        title=f"Run {run_id[:8]} of {named(job)} failed",
        text=f"{line(error)}\nAt {failed_at:%Y-%m-%d %H:%M} UTC. What was loaded stays; marts show the state of the "
        "last publication. The next `onelens-claude daily` asks for what is missing.",
        data={"run_id": run_id, "job": job},
        query="select organization_id, endpoint, window_start, window_end, status, error_type, request_id "
        f"from claude_raw.pulls where run_id = {literal(run_id)} order by all",
        page=f"runs/{run_id}",
    )


def failed_check(asset: str, name: str, *, passed: bool, is_error: bool, description: str, on: dt.date) -> Fact:
    """Return the condition of a data-quality check: it holds while the check does not pass."""
    return Fact(
        event="data_quality",
        organization_id=EVERYWHERE,
        identity=("check", asset, name),
        severity="critical" if is_error else "warning",
        occurred_on=on,
        title=f"Check {name} of {asset} did not pass",
        text=line(description) or "The check gives no description; its page has the rows that it found.",
        data={"asset": asset, "check": name},
        query=f"from {asset.replace('/', '.')} limit 50",
        page=f"assets/{asset}?view=checks",
        holds=not passed,
    )


def _costs(organization: str, first: dt.date, last: dt.date, conditions: Mapping[str, str]) -> str:
    """Return SQL of what the days cost, by user, product and model."""
    more = "".join(f" and {column} = {literal(value)}" for column, value in conditions.items())
    return (
        "select activity_date, user_id, product, model, speed, sum(amount_usd) as amount_usd "
        "from marts.fct_claude_costs "
        f"where organization_id = {literal(organization)} and activity_date between date '{first}' and date '{last}'"
        f"{more} group by all order by amount_usd desc limit 50"
    )


def _team_costs(organization: str, first: dt.date, last: dt.date, team: str) -> str:
    """Return SQL of what a team pays of the days, as the map says today."""
    return (
        "select activity_date, team, amount_usd, total_tokens, user_count from marts.team_daily_spend "
        f"where organization_id = {literal(organization)} and activity_date between date '{first}' and date '{last}' "
        f"and team = {literal(team)} order by activity_date"
    )


def _hours(organization: str, day: dt.date) -> str:
    """Return SQL of what a day that is not pulled yet cost, hour by hour."""
    return (
        "select hour, product, model, amount_usd from marts.hourly_spend "
        f"where organization_id = {literal(organization)} and activity_date = date '{day}' "
        "order by hour, amount_usd desc"
    )


def _days(count: int) -> str:
    return _some(count, "day")


def _some(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
