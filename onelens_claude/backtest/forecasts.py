"""How far the forecasts of a month were off, and how often its range held, once the month was over.

What is here: the forecasts' measures, and every forecast as JSON. What to add here: another measure of a forecast.
What must not go here: alerts (`scoring.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from onelens_claude.backtest.organizations import WARM_UP_DAYS

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

DAYS_OF_MONTH = (5, 10, 20)
"""The days on which forecasts are compared."""
LEAST_USD = 20
"""A month that cost less is not compared: a share of next to nothing says nothing."""


@dataclass(frozen=True)
class ForecastScore:
    """Errors are shares of what the month cost; None where there is nothing to compare.

    `bias` is above zero where forecasts are too high; `coverage` is the share of the ranges that held.
    """

    scope: str
    day_of_month: int
    forecasts: int
    mape: float
    run_rate_mape: float
    bias: float
    ranges: int
    coverage: float | None


def score_forecasts(connection: duckdb.DuckDBPyConnection) -> list[ForecastScore]:
    """Compare the forecasts of whole months, made after the first days of an organisation, with what they cost.

    Beside it stands the run rate: spend to date, divided by its days, times the days of the month.
    """
    rows = connection.execute(
        f"""
        with
            spans as (
                select organization_id, min(activity_date) as first_day, max(activity_date) as last_day
                from intermediate.int_daily_spend_series
                group by organization_id
            ),
            months as (
                select
                    organization_id,
                    scope,
                    scope_value,
                    cast(date_trunc('month', activity_date) as date) as month,
                    sum(amount_usd) as actual_usd
                from intermediate.int_daily_spend_series
                group by all
                having sum(amount_usd) >= {LEAST_USD}
            ),
            compared as (
                select
                    forecasts.*,
                    cast(actual_usd as double) as actual,
                    day(forecast_date) as day_of_month,
                    actual_to_date_usd / day(forecast_date) * day(last_day(month)) as run_rate_usd
                from marts.spend_forecast as forecasts
                inner join months using (organization_id, scope, scope_value, month)
                inner join spans using (organization_id)
                where
                    day(forecast_date) in {DAYS_OF_MONTH}
                    and forecast_date >= first_day + {WARM_UP_DAYS}
                    and month >= first_day
                    and last_day(month) <= last_day
            )
        select
            scope,
            day_of_month,
            count(*),
            avg(abs(forecast_usd - actual) / actual),
            avg(abs(run_rate_usd - actual) / actual),
            sum(forecast_usd - actual) / sum(actual),
            count(low_usd),
            avg(cast(actual between low_usd and high_usd as integer)) filter (where low_usd is not null)
        from compared
        group by scope, day_of_month
        order by scope, day_of_month"""
    ).fetchall()
    return [ForecastScore(*row) for row in rows]


def export_forecasts(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Write every forecast as JSON, one per line, amounts as strings."""
    literal = str(path).replace("'", "''")
    connection.execute(
        f"""copy (
            select
                organization_id,
                scope,
                scope_value,
                strftime(month, '%Y-%m') as month,
                cast(forecast_date as varchar) as as_of,
                cast(forecast_usd as varchar) as forecast_usd,
                cast(low_usd as varchar) as low_usd,
                cast(high_usd as varchar) as high_usd
            from marts.spend_forecast
            order by as_of, organization_id, scope, scope_value
        ) to '{literal}' (format json)"""
    )
