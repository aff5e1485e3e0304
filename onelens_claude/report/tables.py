"""The rows that the page shows as a mart holds them: budgets, anomalies, adoption, completeness and the like.

What is here: one statement per table, over marts alone, and how its people are called. What to add here: another table.
What must not go here: spend that filters add up (`spend.py`), how a table looks (`static/`).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb

from onelens_claude.visible import visible
from onelens_claude.warehouse.connections import dicts

if TYPE_CHECKING:
    from collections.abc import Callable

    from onelens_claude.report.people import People

MOST_LISTED = 500
"""Rows of a table that has one per event; the page says where there are more."""


@dataclass(frozen=True)
class Source:
    """Where the rows of one table come from."""

    marts: tuple[str, ...]
    sql: str
    named: Callable[[dict[str, Any], People], dict[str, Any]] = lambda row, _: row
    """Gives a row the words that a person reads."""
    most: int | None = None


def _scoped(row: dict[str, Any], people: People) -> dict[str, Any]:
    """Say of whom or what a row is: `about`, instead of an id."""
    organization_id, value = row["organization_id"], row.pop("scope_value")
    user_id: str | None = None
    about: str | None
    if row["scope"] == "user":
        user_id, about = value, people.label(organization_id, value)
    elif row["scope"] == "user_product":
        user_id, _, product = value.rpartition("/")
        about = f"{people.label(organization_id, user_id or '')} · {product}"
    elif row["scope"] == "organization":
        about = "the whole organisation"
    else:
        about = people.text(value)
    named = {
        name: people.text(row[name], organization_id=organization_id, user_id=user_id)
        for name in ("reason", "budget_id", "assumption", "evidence")
        if row.get(name)
    }
    return {**row, **named, "about": about, "person": people.position(organization_id, user_id) if user_id else None}


def _titled(kind: str) -> Callable[[dict[str, Any], People], dict[str, Any]]:
    """Show a title that people typed; where nobody may be named, only what tells it apart."""

    def named(row: dict[str, Any], people: People) -> dict[str, Any]:
        number = row.pop("number")
        is_free_text = kind == "Project"
        hidden = f"{kind} {number}" if people.is_redacted and is_free_text else None
        return {**row, "title": hidden or people.text(row["title"])}

    return named


EFFECTS = (
    "volume", "mix", "price", "discount", "new_users", "gone_users", "new_models", "gone_models", "credits", "other"
)  # fmt: skip
"""What a change against the month before is made of; `marts.spend_changes` says what each is."""
_HERE = "organization_id in (select organization_id from reported_organizations)"

SOURCES: dict[str, Source] = {
    "organizations": Source(
        ("dim_claude_organizations", "cost_reconciliation", "engagement_day_states"),
        """with provisional as (
            select organization_id, count(*) filter (finality <> 'final') as provisional_day_count,
                count(*) filter (status <> 'exact') as inexact_day_count, max(activity_date) as newest_cost_date
            from marts.cost_reconciliation
            group by organization_id
        ),

        adoption as (
            select organization_id, max(activity_date) as adoption_complete_through
            from marts.engagement_day_states
            where endpoint = 'summaries' and state in ('complete', 'empty')
            group by organization_id
        )

        select organization_id, name, plan, first_known_date, complete_through, final_through, newest_cost_date,
            coalesce(provisional_day_count, 0) as provisional_day_count,
            coalesce(inexact_day_count, 0) as inexact_day_count, adoption_complete_through
        from marts.dim_claude_organizations
        join reported_organizations using (organization_id)
        left join provisional using (organization_id)
        left join adoption using (organization_id)
        order by organization_id""",
        lambda row, _: {**row, "name": visible(row["name"] or row["organization_id"])},
    ),
    "budgets": Source(
        ("budget_status",),
        f"""select organization_id, budget_id, scope, scope_value, period, period_start, period_end, limit_usd,
            spent_usd, percent_used, status, provisional_day_count, unknown_day_count
        from marts.budget_status
        where {_HERE}
        -- of what each person may spend, the newest period: the page would be full of the others
        qualify scope <> 'user' or period_start = max(period_start) over (partition by organization_id, budget_id)
        order by period_start desc, percent_used desc, organization_id, budget_id, scope_value""",
        _scoped,
        most=2_000,
    ),
    "forecast": Source(
        ("spend_forecast",),
        f"""select organization_id, month, scope, scope_value, forecast_date, actual_to_date_usd, forecast_usd,
            low_usd, high_usd, interval_status
        from marts.spend_forecast
        where {_HERE}
        qualify forecast_date = max(forecast_date) over (partition by organization_id, month, scope, scope_value)
            and (scope <> 'user' or month = max(month) over (partition by organization_id))
        order by month desc, organization_id, scope, scope_value""",
        _scoped,
        most=4_000,
    ),
    "anomalies": Source(
        ("cost_anomalies",),
        f"""select organization_id, activity_date, scope, scope_value, metric, kind, impact_usd, status, incident_id,
            reason
        from marts.cost_anomalies
        where {_HERE}
        order by activity_date desc, impact_usd desc nulls last, organization_id, scope, scope_value, metric, kind""",
        _scoped,
        most=MOST_LISTED,
    ),
    "adoption": Source(
        ("org_daily_adoption",),
        f"""select organization_id, activity_date, daily_active_user_count, weekly_active_user_count,
            monthly_active_user_count, assigned_seat_count, pending_invite_count
        from marts.org_daily_adoption
        where {_HERE}
        order by activity_date, organization_id""",
    ),
    "economics": Source(
        ("org_monthly_unit_economics",),
        f"""select organization_id, month, first_covered_date, last_covered_date, known_active_user_count,
            total_cost_usd, allocated_cost_per_active_user_to_date_usd
        from marts.org_monthly_unit_economics
        where {_HERE}
        order by month, organization_id""",
    ),
    "cache": Source(
        ("cache_daily_savings",),
        f"""select organization_id, activity_date, coalesce(model, '(no model)') as model,
            sum(net_savings_usd) as net_savings_usd, count(*) filter (net_savings_usd is null) as unpriced_count
        from marts.cache_daily_savings
        where {_HERE}
        group by all
        order by activity_date, organization_id, model""",
    ),
    "premium": Source(
        ("premium_daily_spend",),
        f"""select organization_id, activity_date, speed, inference_geo, sum(amount_usd) as amount_usd,
            sum(premium_amount_usd) as premium_usd, count(*) filter (premium_amount_usd is null) as unpriced_count
        from marts.premium_daily_spend
        where {_HERE}
        group by all
        order by activity_date, organization_id, speed, inference_geo""",
    ),
    "idle": Source(
        ("idle_seats",),
        f"""select organization_id, idle_after_day_count, as_of_date, assigned_seat_count, active_user_count,
            idle_seat_count
        from marts.idle_seats
        where {_HERE}
        order by organization_id, idle_after_day_count""",
    ),
    "projects": Source(
        ("project_daily_adoption",),
        f"""select organization_id, date_trunc('month', activity_date)::date as month,
            arg_max(latest_project_name, activity_date) as title, dense_rank() over (order by project_id) as number,
            sum(message_count)::bigint as message_count,
            sum(distinct_conversation_count)::bigint as conversation_count,
            max(distinct_user_count) as most_users, count(distinct activity_date) as day_count
        from marts.project_daily_adoption
        where {_HERE}
        group by organization_id, project_id, date_trunc('month', activity_date)
        order by month desc, message_count desc nulls last, organization_id, project_id""",
        _titled("Project"),
        most=MOST_LISTED,
    ),
    "skills": Source(
        ("skill_daily_usage",),
        f"""select organization_id, date_trunc('month', activity_date)::date as month,
            coalesce(arg_max(latest_skill_display_name, activity_date), skill_name) as title,
            dense_rank() over (order by skill_name) as number,
            sum(invocation_count)::bigint as invocation_count, max(distinct_user_count) as most_users,
            sum(attributed_list_price_usd) as list_price_usd
        from marts.skill_daily_usage
        where {_HERE}
        group by organization_id, skill_name, date_trunc('month', activity_date)
        order by month desc, invocation_count desc nulls last, organization_id, skill_name""",
        _titled("Skill"),
        most=MOST_LISTED,
    ),
    "connectors": Source(
        ("connector_daily_usage",),
        f"""select organization_id, date_trunc('month', activity_date)::date as month,
            coalesce(arg_max(latest_connector_display_name, activity_date), connector_name) as title,
            dense_rank() over (order by connector_name) as number,
            sum(call_count)::bigint as call_count, sum(read_call_count)::bigint as read_call_count,
            sum(write_call_count)::bigint as write_call_count, max(distinct_user_count) as most_users
        from marts.connector_daily_usage
        where {_HERE}
        group by organization_id, connector_name, date_trunc('month', activity_date)
        order by month desc, call_count desc nulls last, organization_id, connector_name""",
        _titled("Connector"),
        most=MOST_LISTED,
    ),
    "completeness": Source(
        ("cost_reconciliation", "engagement_day_states"),
        f"""with engagement as (
            select organization_id, activity_date,
                coalesce(
                    string_agg(endpoint || ' ' || state, ', ' order by endpoint)
                        filter (state not in ('complete', 'empty')),
                    'complete'
                ) as engagement_state
            from marts.engagement_day_states
            where {_HERE}
            group by all
        ),

        costs as (select * from marts.cost_reconciliation where {_HERE})

        select organization_id, activity_date, cast(total_cents * 0.01 as decimal(38, 14)) as total_usd,
            coalesce(status, 'missing') as cost_state, coalesce(finality, 'incomplete') as finality,
            coalesce(engagement_state, 'missing') as engagement_state
        from costs
        full join engagement using (organization_id, activity_date)
        order by activity_date desc, organization_id""",
    ),
    "revisions": Source(
        ("cost_revisions",),
        f"""select organization_id, activity_date, fetched_at::date as fetched_on, revision_number, total_usd,
            change_usd
        from marts.cost_revisions
        where {_HERE} and revision_number > 1 and change_usd <> 0
        order by activity_date desc, organization_id, revision_number desc""",
        most=MOST_LISTED,
    ),
    "changes": Source(
        ("spend_changes", "spend_change_drivers"),
        f"""select organization_id, drivers.month, coalesce(product, '(not known)') as product,
            coalesce(model, '(not known)') as model, first_compared_date, last_compared_date,
            sum(drivers.previous_usd) as previous_usd, sum(drivers.current_usd) as current_usd,
            {", ".join(f"sum(drivers.{effect}_effect_usd) as {effect}" for effect in EFFECTS)}
        from marts.spend_change_drivers as drivers
        join marts.spend_changes using (organization_id, month)
        where {_HERE} and comparison <> 'none'
        group by all
        order by drivers.month desc, organization_id, product, model""",
    ),
    "teams": Source(
        ("team_monthly_chargeback",),
        # where nobody made a map, all is unmapped, and no team is to be shown
        f"""select organization_id, month, team, cost_center, amount_usd, list_amount_usd, total_tokens, user_count,
            finality
        from marts.team_monthly_chargeback
        where {_HERE}
        qualify bool_or(team not in ('(unmapped)', '(unattributed)')) over (partition by organization_id)
        order by month desc, amount_usd desc nulls last, organization_id, team""",
        lambda row, people: {**row, "team": people.text(row["team"]), "cost_center": people.text(row["cost_center"])},
        most=MOST_LISTED,
    ),
    "savings": Source(
        ("savings_opportunities",),
        f"""select organization_id, month, kind, scope, scope_value, spent_usd, avoidable_usd, assumption, evidence
        from marts.savings_opportunities
        where {_HERE}
        order by month desc, avoidable_usd desc nulls last, organization_id, kind, scope, scope_value""",
        _scoped,
        most=MOST_LISTED,
    ),
}


def read_table(connection: duckdb.DuckDBPyConnection, name: str, people: People) -> dict[str, Any]:
    """Return the columns and rows of one table, and how many more there are.

    A warehouse that an earlier version built may lack a mart or a column of it: that is an answer too, not an error.
    """
    source = SOURCES[name]
    try:
        rows = dicts(connection, source.sql)
    except (duckdb.CatalogException, duckdb.BinderException):
        return {"missing": " and ".join(f"marts.{mart}" for mart in source.marts), "rows": []}
    shown = [source.named(row, people) for row in rows[: source.most]]
    return {
        "rows": [{key: plain(value) for key, value in row.items()} for row in shown],
        "more": len(rows) - len(shown),
    }


def plain(value: Any) -> Any:
    """Return a value as JSON keeps it exactly: decimals and dates as text."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, dt.date):
        return value.isoformat()
    return value
