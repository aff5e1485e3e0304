"""The main charts as PNG and SVG, drawn without a browser: for mails, documents and chats.

They show sums of organisations and products, never a person, so they may go wherever an alert goes.

What is here: the rows of each picture, and how it is drawn. What to add here: another picture.
What must not go here: specifications (`charts.py`), what a filter chooses (`static/panels.js`).
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import duckdb
import vl_convert

from onelens_claude.report.charts import as_picture, config, month, people, stacked, usd_axis
from onelens_claude.report.look import THEMES, colours, product_name
from onelens_claude.report.page import replace_file
from onelens_claude.visible import visible
from onelens_claude.warehouse.connections import dicts
from onelens_claude.warehouse.files import open_serving_copy

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence
    from pathlib import Path

    from onelens_claude.settings import Settings

_SCALE = 2.0
"""Pixels per point: sharp on the screens that mails are read on."""
_INK = THEMES["light"]


@dataclass(frozen=True)
class Picture:
    """One chart as a file of each kind, and what it says to whoever cannot see it."""

    name: str
    says: str
    png: bytes
    svg: str


def write_pictures(settings: Settings, folder: Path, *, organization_id: str | None = None) -> list[Path]:
    """Write both files of each picture into a folder; return their paths. Errors as `page.write_page`."""
    with open_serving_copy(settings.serving_path) as connection:
        drawn = draw_pictures(connection, None if organization_id is None else [organization_id])
    files = [
        (f"{one.name}.{kind}", content)
        for one in drawn
        for kind, content in (("png", one.png), ("svg", one.svg.encode()))
    ]
    for name, content in files:
        replace_file(folder / name, content)
    return [folder / name for name, _ in files]


def draw_pictures(connection: duckdb.DuckDBPyConnection, organizations: Sequence[str] | None = None) -> list[Picture]:
    """Return the pictures of these organisations, or of all: month to date, daily spend by product, active people.

    What a warehouse does not hold yet is no picture. Raises duckdb.Error where the file cannot be read.
    """
    found = dicts(
        connection,
        """select organization_id, name, max(activity_date) as newest
        from marts.dim_claude_organizations
        join marts.cost_reconciliation using (organization_id)
        where $1 or list_contains($2, organization_id)
        group by all
        order by organization_id""",
        [organizations is None, list(organizations or [])],
    )
    if not found:
        return []
    ids = [one["organization_id"] for one in found]
    title = visible(", ".join(one["name"] or one["organization_id"] for one in found))
    newest = max(one["newest"] for one in found)
    drawn = (
        _month(connection, ids, title, newest),
        _daily(connection, ids, title, newest),
        _people(connection, ids, title),
    )
    return [picture for picture in drawn if picture]


def _month(connection: duckdb.DuckDBPyConnection, ids: list[str], title: str, newest: dt.date) -> Picture | None:
    """Draw spend added up day by day, beside the month before, the budget and the forecast."""
    spent = dicts(
        connection,
        """select activity_date, sum(amount_usd) as usd from marts.fct_claude_costs
        where list_contains($1, organization_id)
            and activity_date between date_trunc('month', $2) - interval 1 month and $2
        group by all order by activity_date""",
        [ids, newest],
    )
    series: dict[str, str] = {}
    rows: list[dict[str, Any]] = []
    total = Decimal(0)
    for kind, colour in (("before", _INK["quiet"]), ("this", _INK["accent"])):
        is_this = kind == "this"
        days = [one for one in spent if (one["activity_date"].month == newest.month) is is_this]
        if not days:
            continue
        name = f"{days[0]['activity_date']:%B %Y}"
        series[name] = colour
        sums = list(accumulate((one["usd"] for one in days), initial=Decimal(0)))[1:]
        total = sums[-1] if is_this else total
        rows += [
            {"kind": kind, "series": name, "day": one["activity_date"].day, "usd": float(so_far)}
            for one, so_far in zip(days, sums, strict=True)
        ]
    if not rows:
        return None
    first = newest.replace(day=1)
    budget = _sum_of_all(
        connection,
        """select max(limit_usd) from marts.budget_status
        where list_contains($ids, organization_id) and scope = 'organization' and period = 'monthly'
            and period_start = $month
        group by organization_id""",
        ids,
        first,
    )
    if budget is not None:
        name = f"Budget {usd(budget)}"
        series[name] = _INK["bad"]
        rows.append({"kind": "budget", "series": name, "usd": float(budget)})
    forecast = _sum_of_all(
        connection,
        """select arg_max(forecast_usd, forecast_date) from marts.spend_forecast
        where list_contains($ids, organization_id) and scope = 'organization' and month = $month
        group by organization_id""",
        ids,
        first,
    )
    last = calendar.monthrange(newest.year, newest.month)[1]
    if forecast is not None and newest.day < last:
        name = f"Forecast {usd(forecast)}"
        series[name] = _INK["accent"]
        rows += [
            {"kind": "forecast", "series": name, "day": newest.day, "usd": float(total)},
            {"kind": "forecast", "series": name, "day": last, "usd": float(forecast)},
        ]
    heading = f"{title}: {usd(total)} from 1 to {_date(newest)}."
    return _picture("month", heading, month(), rows, series)


def _sum_of_all(connection: duckdb.DuckDBPyConnection, sql: str, ids: list[str], month_: dt.date) -> Decimal | None:
    """Return a figure over all organisations; null where one has none, or the mart is not built."""
    try:
        found = connection.execute(sql, {"ids": ids, "month": month_}).fetchall()
    except (duckdb.CatalogException, duckdb.BinderException):
        return None
    values = [value for (value,) in found if value is not None]
    return sum(values, Decimal(0)) if len(values) == len(ids) else None


def _daily(connection: duckdb.DuckDBPyConnection, ids: list[str], title: str, newest: dt.date) -> Picture | None:
    """Draw what each of the last 30 days cost, by product."""
    spent = dicts(
        connection,
        """select activity_date, coalesce(product, '(no product)') as product, sum(amount_usd) as usd
        from marts.fct_claude_costs
        where list_contains($1, organization_id)
            and activity_date between $2::date - interval 29 days and $2
        group by all having sum(amount_usd) <> 0
        order by activity_date, product""",
        [ids, newest],
    )
    if not spent:
        return None
    totals: dict[str, Decimal] = {}
    for one in spent:
        totals[one["product"]] = totals.get(one["product"], Decimal(0)) + one["usd"]
    products = sorted(totals, key=lambda product: (-totals[product], product))
    of_product = dict(zip(products, colours(products, [])["light"]["product"], strict=True))
    series = {visible(product_name(product)): of_product[product] for product in products}
    rows = [
        {
            "day": _millis(one["activity_date"]),
            "series": visible(product_name(one["product"])),
            "order": products.index(one["product"]),
            "usd": float(one["usd"]),
        }
        for one in spent
    ]
    heading = f"{title}: {usd(sum(totals.values(), Decimal(0)))} in the 30 days up to {_date(newest)}, by product."
    return _picture("daily", heading, stacked(usd_axis(), height=260), rows, series)


def _people(connection: duckdb.DuckDBPyConnection, ids: list[str], title: str) -> Picture | None:
    """Draw active people below the line of seats, over the last 60 days that every organisation has."""
    try:
        days = dicts(
            connection,
            """select activity_date, sum(daily_active_user_count)::bigint as "Active that day",
                sum(weekly_active_user_count)::bigint as "In 7 days",
                sum(monthly_active_user_count)::bigint as "In 30 days", sum(assigned_seat_count)::bigint as "Seats"
            from marts.org_daily_adoption
            where list_contains($1, organization_id)
            group by activity_date
            having count(*) = $2
            qualify row_number() over (order by activity_date desc) <= 60
            order by activity_date""",
            [ids, len(ids)],
        )
    except (duckdb.CatalogException, duckdb.BinderException):
        return None
    if not days:
        return None
    hues = colours([], [])["light"]["series"]
    series = {"Active that day": hues[1], "In 7 days": hues[2], "In 30 days": hues[0], "Seats": _INK["muted"]}
    rows = [
        {
            "kind": "seats" if name == "Seats" else "active",
            "series": name,
            "day": _millis(one["activity_date"]),
            "count": one[name],
        }
        for one in days
        for name in series
        if one[name] is not None
    ]
    newest = days[-1]
    heading = f"{title}: {newest['In 30 days']:,} people active in 30 days, on {_date(newest['activity_date'])}."
    return _picture("people", heading, people(), rows, series)


def _picture(
    name: str, heading: str, specification: dict[str, Any], rows: list[dict[str, Any]], series: dict[str, str]
) -> Picture:
    drawn = as_picture(specification, rows, series, heading)
    look = {**config("light"), "background": _INK["panel"]}
    return Picture(
        name,
        heading,
        png=vl_convert.vegalite_to_png(drawn, scale=_SCALE, config=look),
        svg=vl_convert.vegalite_to_svg(drawn, config=look),
    )


def usd(amount: Decimal) -> str:
    """Return an amount to the cent, as the page writes it."""
    return f"{'-' if amount < 0 else ''}${abs(amount):,.2f}"


def _millis(day: dt.date) -> int:
    return calendar.timegm(day.timetuple()) * 1000


def _date(day: dt.date) -> str:
    return f"{day.day} {day:%b %Y}"
