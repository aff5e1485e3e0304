"""Running the production models over somebody else's daily spend, in a database file of their own.

The models read one table of daily series (`int_daily_spend_series`) and the settings; both are put there, dbt runs the
rest. Windows look back only, so one run says what each day would have said on its evening.

What is here: the tables that the models read, the run, and what it raised. What to add here: a model that the backtest
reads.
What must not go here: rules of detection (`dbt_project/models/intermediate/anomalies`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from onelens_claude.backtest.organizations import WARM_UP_DAYS
from onelens_claude.backtest.scoring import Alert, Series
from onelens_claude.dbt_command import run_dbt

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

    import duckdb
    import pandas as pd

MODELS = (
    "stg_anomaly_settings",
    "stg_holidays",
    "int_anomaly_floors",
    "int_person_scores",
    "int_segment_scores",
    "int_anomaly_days",
)

FORECAST_MODELS = ("int_forecast_*", "spend_forecast")

_SERIES = {
    "organization": "organization_id",
    "user": "user_id",
    "product": "product",
    "model": "model",
    "user_product": "user_id || '/' || product",
}


def store(connection: duckdb.DuckDBPyConnection, spend: pd.DataFrame) -> None:
    """Append made-up spend (`amount_cents`, whole) to `spend`, the table that `prepare` reads."""
    connection.execute(
        """create table if not exists spend (
            organization_id varchar, activity_date date, user_id varchar, product varchar, model varchar,
            amount_usd decimal(38, 14)
        )"""
    )
    connection.register("made_up", spend)
    connection.execute(
        """insert into spend
        select
            organization_id,
            cast(activity_date as date),
            user_id,
            product,
            model,
            cast(amount_cents * 0.01 as decimal(38, 14))
        from made_up"""
    )
    connection.unregister("made_up")


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the tables that the models read from `spend`.

    `spend` has the columns of `spend.csv`: `organization_id`, `activity_date`, `user_id`, `product`, `model` and
    `amount_usd` (DECIMAL), none of them null but `user_id`, `product` and `model`.
    """
    for schema in ("claude_raw", "staging", "intermediate", "marts"):
        connection.execute(f"create schema if not exists {schema}")
    days = """
        select
            organization_id,
            cast(unnest(range(min(activity_date), max(activity_date) + 1, interval 1 day)) as date) as activity_date
        from spend
        group by organization_id"""
    scopes = " union all ".join(
        f"""select
            organization_id,
            '{scope}' as scope,
            {value} as scope_value,
            activity_date,
            sum(amount_usd) as amount_usd
        from spend
        where {value} is not null
        group by organization_id, {value}, activity_date"""
        for scope, value in _SERIES.items()
        if scope != "organization"
    )
    connection.execute(
        f"""
        create table intermediate.int_daily_spend_series as
        select
            *,
            cast(null as bigint) as total_tokens,
            true as is_complete
        from (
            select days.organization_id, 'organization' as scope, days.organization_id as scope_value, activity_date,
                cast(coalesce(sum(amount_usd), 0) as decimal(38, 14)) as amount_usd
            from ({days}) as days
            left join spend using (organization_id, activity_date)
            group by organization_id, activity_date
            union all
            select organization_id, scope, scope_value, activity_date, cast(amount_usd as decimal(38, 14))
            from ({scopes})
        )
        order by activity_date, organization_id, scope, scope_value;
        create table staging.stg_pull_days as
        select
            organization_id,
            'user_cost_report' as endpoint,
            activity_date,
            cast(1 as bigint) as pull_sequence,
            cast(null as timestamp) as superseded_at,
            count(*) as day_row_count
        from intermediate.int_daily_spend_series
        group by organization_id, activity_date;
        create table claude_raw.anomaly_settings as
        select
            'balanced' as sensitivity,
            cast(20 as decimal(38, 14)) as floor_usd,
            cast(10000000 as bigint) as floor_tokens;
        create table claude_raw.holidays (holiday date);
        create table marts.user_daily_spend as select cast(1 as bigint) as built_through_sequence;
        create table intermediate.int_user_spend_lines as select cast(1 as bigint) as built_through_sequence;
        """
    )


def run_models(path: Path, target: Path) -> float:
    """Score what is new in the file and return the seconds it took; `target` is dbt's folder. Raises DbtError."""
    run_dbt(path, "run", "--select", *MODELS, target=target)
    results = json.loads((target / "run_results.json").read_text())["results"]
    return float(sum(one["execution_time"] for one in results))


def run_forecasts(path: Path, target: Path) -> None:
    """Forecast each month on each of its days, also for people; `run_models` comes first. Raises DbtError."""
    every_day = json.dumps({"forecast_every_user_day": True})
    run_dbt(path, "run", "--select", *FORECAST_MODELS, "--vars", every_day, target=target)


def touch_newest_day(connection: duckdb.DuckDBPyConnection) -> None:
    """Let the next run of the models score the newest day again, as if it had just been pulled."""
    connection.execute(
        """update staging.stg_pull_days set pull_sequence = 2
        where activity_date = (select max(activity_date) from staging.stg_pull_days)"""
    )
    for table in ("marts.user_daily_spend", "intermediate.int_user_spend_lines"):
        connection.execute(f"insert into {table} values (2)")


def raised_alerts(connection: duckdb.DuckDBPyConnection, *, newest_only: bool = False) -> list[Alert]:
    """Return what is raised for cost, one alert per series and day: of several kinds, the one that is furthest out."""
    newest = "and activity_date = (select max(activity_date) from intermediate.int_daily_spend_series)"
    rows = connection.execute(
        f"""select organization_id, scope, scope_value, activity_date, arg_max(kind, score), max(score)
        from intermediate.int_anomaly_days
        where metric = 'amount_usd' {newest if newest_only else ""}
        group by organization_id, scope, scope_value, activity_date
        order by activity_date, organization_id, scope, scope_value"""
    ).fetchall()
    return [Alert(Series(*series), day, kind, score) for *series, day, kind, score in rows]


def scored_from(connection: duckdb.DuckDBPyConnection) -> dict[str, dt.date]:
    """Return each organisation's first day that counts: what came before is the history a detector needs."""
    rows = connection.execute(
        """select organization_id, cast(min(activity_date) + to_days(?) as date)
        from intermediate.int_daily_spend_series group by organization_id""",
        [WARM_UP_DAYS],
    ).fetchall()
    return dict(rows)


def series_days(connection: duckdb.DuckDBPyConnection, warm_up_days: int = WARM_UP_DAYS) -> dict[str, int]:
    """Return by scope how many days there are to score: of each series from its first spend to the newest day."""
    rows = connection.execute(
        """
        with
            spans as (
                select organization_id, min(activity_date) + to_days(?) as first_day, max(activity_date) as last_day
                from intermediate.int_daily_spend_series
                group by organization_id
            ),
            series as (
                select organization_id, scope, min(activity_date) as begins
                from intermediate.int_daily_spend_series
                group by organization_id, scope, scope_value
            )
        select scope, sum(greatest(0, last_day - cast(greatest(begins, first_day) as date) + 1))
        from series
        inner join spans using (organization_id)
        group by scope""",
        [warm_up_days],
    ).fetchall()
    return {scope: int(days) for scope, days in rows}
