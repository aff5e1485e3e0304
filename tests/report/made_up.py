"""Serving copies with made-up marts, written straight into a file: for sizes, names and gaps that no server serves.

What belongs here: the columns that the page reads, of the types that the marts have. What does not: figures that a test
is about, which the test gives itself.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import duckdb

from onelens_claude.report.tables import EFFECTS
from onelens_claude.settings import Settings, load_settings
from tests.organizations import write_settings_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MONEY, CENTS = "decimal(38, 14)", "decimal(38, 12)"
_SPEND = (
    "organization_id text, activity_date date, user_id text, attribution text, product text, model text, "
    "is_placed boolean"
)
_EFFECTS = ", ".join(f"{effect}_effect_usd {MONEY}" for effect in EFFECTS)
TABLES = {
    "dim_claude_organizations": "organization_id text, name text, plan text, first_known_date date, "
    "complete_through date, final_through date",
    "dim_claude_users": "organization_id text, user_id text, email text, name text, is_deleted boolean",
    "fct_claude_costs": f"{_SPEND}, amount_cents {CENTS}, list_amount_cents {CENTS}, "
    f"amount_usd {MONEY} generated always as (amount_cents * 0.01)",
    "fct_claude_usage": f"{_SPEND}, uncached_input_tokens bigint, cache_read_input_tokens bigint, "
    "cache_creation_5m_input_tokens bigint, cache_creation_1h_input_tokens bigint, output_tokens bigint, "
    "requests bigint",
    "cost_reconciliation": f"organization_id text, activity_date date, total_cents {CENTS}, status text, finality text",
    "engagement_day_states": "organization_id text, endpoint text, activity_date date, state text",
    "project_daily_adoption": "organization_id text, activity_date date, project_id text, latest_project_name text, "
    "distinct_user_count bigint, distinct_conversation_count bigint, message_count bigint",
    "budget_status": "organization_id text, budget_id text, scope text, scope_value text, period text, "
    f"period_start date, period_end date, limit_usd {MONEY}, spent_usd {MONEY}, percent_used decimal(18, 4), "
    "status text, provisional_day_count bigint, unknown_day_count bigint",
    "spend_changes": "organization_id text, month date, comparison text, first_compared_date date, "
    "last_compared_date date",
    "spend_change_drivers": "organization_id text, month date, product text, model text, "
    f"previous_usd {MONEY}, current_usd {MONEY}, {_EFFECTS}",
    "team_monthly_chargeback": "organization_id text, month date, team text, cost_center text, "
    f"amount_usd {MONEY}, list_amount_usd {MONEY}, total_tokens bigint, user_count bigint, finality text",
    "savings_opportunities": "organization_id text, month date, kind text, scope text, scope_value text, "
    f"spent_usd {MONEY}, avoidable_usd {MONEY}, assumption text, evidence text",
    "cost_anomalies": "organization_id text, activity_date date, scope text, scope_value text, metric text, kind text, "
    f"impact_usd {MONEY}, status text, incident_id text, reason text",
}


def settings_for(folder: Path, **sections: Any) -> Settings:
    """Return settings of one live organisation whose warehouse is in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    organization = {"id": "acme", "api_key_env": "ACME_KEY"}
    write_settings_file(folder / "onelens.yaml", [organization], **sections)
    return load_settings(folder / "onelens.yaml", needs_keys=False)


def write_marts(path: Path, rows: dict[str, Sequence[Sequence[Any]]]) -> None:
    """Write a serving copy whose marts hold these rows; a mart that is not named is empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(duckdb.connect(str(path))) as connection:
        connection.execute("create schema marts")
        for table, columns in TABLES.items():
            connection.execute(f"create table marts.{table} ({columns})")
            for row in rows.get(table, ()):
                connection.execute(f"insert into marts.{table} values ({', '.join('?' * len(row))})", list(row))


def write_many(path: Path, *, people: int, days: int) -> None:
    """Write a serving copy of one organisation with so many people, about 40 % of whom are active each day."""
    write_marts(path, {"dim_claude_organizations": [("acme", "Acme Corp", "usage", None, None, None)]})
    with contextlib.closing(duckdb.connect(str(path))) as connection:
        connection.execute(
            f"""insert into marts.dim_claude_users
            select 'acme', 'user_' || i, 'person.' || i || '@acme.example.com', 'Person Number ' || i, false
            from range({people}) as t (i);

            create temp table lines as
            select 'acme' as organization_id, date '2026-11-19' - d::integer as activity_date, 'user_' || p as user_id,
                ['claude_code', 'chat', 'cowork', 'office_agent'][(1 + hash(p, d, n, 1) % 4)::integer] as product,
                ['claude-opus-4-7', 'claude-sonnet-4-6', 'claude-haiku-4-5'][(1 + hash(p, n, 2) % 3)::integer] as model,
                (hash(p, d, n, 3) % 100000000000000)::decimal(38, 0) as digits
            from range({people}) as people (p), range({days}) as days (d), range(3) as lines (n)
            where hash(p, d) % 100 < 40 and hash(p, d, n) % 100 < 70;

            insert into marts.fct_claude_costs
            select organization_id, activity_date, user_id, if(user_id is null, 'unattributed', 'user'), product,
                model, true, digits * 0.00000000001,
                digits * 0.000000000012
            from lines;

            insert into marts.fct_claude_usage
            select organization_id, activity_date, user_id, if(user_id is null, 'unattributed', 'user'), product,
                model, true, (digits % 10000)::bigint,
                (digits % 1000000)::bigint, 17, 0, (digits % 3000)::bigint, 3
            from lines;

            insert into marts.cost_reconciliation
            select organization_id, activity_date, sum(amount_cents), 'exact', 'final'
            from marts.fct_claude_costs group by all"""
        )
