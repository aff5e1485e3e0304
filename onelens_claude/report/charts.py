"""The charts as Vega-Lite specifications, for the page and for pictures alike.

Every chart reads rows named `rows`, whose colours and sentences (`text`, shown on hover) are already in them, so that
a filter only changes rows. A dollar is a float here, because a pixel is not money: amounts that are read are texts.

What is here: one specification per chart, and the configuration of a theme. What to add here: another chart.
What must not go here: rows (`static/panels.js`, `pictures.py`), colours (`look.py`).
"""

from __future__ import annotations

from typing import Any

from onelens_claude.report.look import FONT, THEMES

_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
# not "$0k", and a billion is B
_ZERO = {"labelExpr": "datum.value === 0 ? '0' : replace(datum.label, 'G', 'B')"}
_USD = {"format": "$~s", "title": None, "tickCount": 5, **_ZERO}
_COUNT = {"format": "~s", "title": None, "tickCount": 5, **_ZERO}
_DAYS = {
    "field": "day",
    "type": "temporal",
    "timeUnit": "utcyearmonthdate",
    "axis": {"title": None, "format": "%-d %b", "labelOverlap": "parity", "grid": False, "tickCount": 8},
}
_TEXT = {"field": "text", "type": "nominal"}
_OWN_COLOUR = {"field": "colour", "type": "nominal", "scale": None}


def config(theme: str) -> dict[str, Any]:
    """Return the look of every chart in one theme."""
    colour = THEMES[theme]
    return {
        "aria": False,  # the page gives each chart a sentence and a table
        "background": None,
        "font": FONT,
        "padding": {"left": 2, "right": 8, "top": 6, "bottom": 2},
        "view": {"stroke": None},
        "axis": {
            "labelColor": colour["muted"],
            "titleColor": colour["muted"],
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "gridColor": colour["line"],
            "domainColor": colour["line"],
            "tickColor": colour["line"],
            "labelPadding": 6,
        },
        "axisY": {"domain": False, "ticks": False},
        "legend": {"labelColor": colour["ink"], "labelFontSize": 12, "orient": "top", "title": None, "symbolSize": 90},
        "title": {"color": colour["ink"], "fontSize": 15, "anchor": "start", "subtitleColor": colour["muted"]},
        "text": {"color": colour["ink"], "fontSize": 12},
    }


def _chart(height: int, **rest: Any) -> dict[str, Any]:
    return {
        "$schema": _SCHEMA,
        "data": {"name": "rows"},
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        **rest,
    }


def _only(*kinds: str) -> list[dict[str, Any]]:
    return [{"filter": {"field": "kind", "oneOf": list(kinds)}}]


def _y(field: str, axis: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {"field": field, "type": "quantitative", "axis": axis, "scale": {"nice": True, "zero": True}, **rest}


def month() -> dict[str, Any]:
    """Return spend to date beside the month before, the budget and the forecast."""
    day = {
        "field": "day",
        "type": "quantitative",
        "scale": {"domain": [1, 31], "nice": False},
        "axis": {"title": "Day of the month", "values": [1, 5, 10, 15, 20, 25, 31], "format": "d", "grid": False},
    }
    line = {"x": day, "y": _y("usd", _USD), "color": _OWN_COLOUR}
    point = {**line, "tooltip": _TEXT}
    return _chart(
        280,
        layer=[
            {
                "transform": _only("range"),
                "mark": {"type": "area", "opacity": 0.7},
                "encoding": {**line, "y": _y("low", _USD), "y2": {"field": "high"}},
            },
            {"transform": _only("before"), "mark": {"type": "line", "strokeWidth": 1.5}, "encoding": line},
            {
                "transform": _only("forecast"),
                "mark": {"type": "line", "strokeWidth": 2, "strokeDash": [2, 4]},
                "encoding": line,
            },
            {"transform": _only("this"), "mark": {"type": "line", "strokeWidth": 2.75}, "encoding": line},
            {
                "transform": _only("budget"),
                "mark": {"type": "rule", "strokeWidth": 1.5, "strokeDash": [6, 4]},
                "encoding": {"y": _y("usd", _USD), "color": _OWN_COLOUR, "tooltip": _TEXT},
            },
            # wide enough to be met by a mouse
            {
                "transform": _only("this", "before", "forecast"),
                "mark": {"type": "point", "filled": True, "size": 150, "opacity": 0},
                "encoding": point,
            },
        ],
    )


def stacked(axis: dict[str, Any], *, height: int = 240, field: str = "usd") -> dict[str, Any]:
    """Return bars per day, one upon the other."""
    return _chart(
        height,
        mark={"type": "bar", "width": {"band": 0.82}},
        encoding={
            "x": _DAYS,
            "y": _y(field, axis, stack="zero"),
            "color": _OWN_COLOUR,
            "order": {"field": "order", "type": "quantitative"},
            "tooltip": _TEXT,
        },
    )


def unusual() -> dict[str, Any]:
    """Return daily spend with a mark on each day of an anomaly."""
    x = {**_DAYS, "timeUnit": None}
    x = {name: value for name, value in x.items() if value is not None}
    x["scale"] = {"type": "utc"}
    return _chart(
        220,
        layer=[
            {
                "transform": _only("day"),
                "mark": {"type": "area", "line": {"strokeWidth": 1.5}, "fillOpacity": 0.18, "interpolate": "linear"},
                "encoding": {"x": x, "y": _y("usd", _USD), "color": _OWN_COLOUR},
            },
            {
                "transform": _only("anomaly"),
                "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1, "strokeWidth": 1.5},
                "encoding": {
                    "x": x,
                    "y": _y("usd", _USD),
                    "fill": _OWN_COLOUR,
                    "stroke": {"field": "ring", "type": "nominal", "scale": None},
                    "tooltip": _TEXT,
                },
            },
        ],
    )


def people() -> dict[str, Any]:
    """Return daily, weekly and monthly active people below the line of seats."""
    x = {name: value for name, value in _DAYS.items() if name != "timeUnit"} | {"scale": {"type": "utc"}}
    line = {"x": x, "y": _y("count", _COUNT), "color": _OWN_COLOUR, "detail": {"field": "series", "type": "nominal"}}
    return _chart(
        240,
        layer=[
            {
                "transform": _only("seats"),
                "mark": {"type": "line", "interpolate": "step-after", "strokeDash": [6, 4], "strokeWidth": 1.5},
                "encoding": line,
            },
            {"transform": _only("active"), "mark": {"type": "line", "strokeWidth": 2}, "encoding": line},
            {
                "mark": {"type": "point", "filled": True, "size": 120, "opacity": 0},
                "encoding": {**line, "tooltip": _TEXT},
            },
        ],
    )


def change() -> dict[str, Any]:
    """Return from which effects the month before became this one."""
    return _chart(
        300,
        mark={"type": "bar", "height": {"band": 0.6}, "cornerRadius": 1},
        encoding={
            "y": {
                "field": "label",
                "type": "nominal",
                "sort": {"field": "order"},
                "axis": {"title": None, "labelLimit": 170, "labelFontSize": 12},
            },
            "x": {
                "field": "low",
                "type": "quantitative",
                "axis": {**_USD, "grid": True, "domain": False},
                "scale": {"nice": True, "zero": False},
            },
            "x2": {"field": "high"},
            "color": _OWN_COLOUR,
            "tooltip": _TEXT,
        },
    )


def usd_axis() -> dict[str, Any]:
    """Return how an axis of dollars is written."""
    return _USD


def as_picture(
    specification: dict[str, Any], rows: list[dict[str, Any]], series: dict[str, str], heading: str
) -> dict[str, Any]:
    """Return a chart that stands alone: with its rows, a width, a heading, and a legend for the colours of `series`."""
    colour = {
        "field": "series",
        "type": "nominal",
        "scale": {"domain": list(series), "range": list(series.values())},
        "legend": {
            "orient": "top",
            "title": None,
            "columns": 5,
            "labelLimit": 200,
            "symbolType": "square",
            "symbolOpacity": 1,
        },
    }

    def told(value: Any) -> Any:
        if value == _OWN_COLOUR:
            return colour
        if isinstance(value, dict):
            return {key: told(inner) for key, inner in value.items() if key != "tooltip"}
        return [told(inner) for inner in value] if isinstance(value, list) else value

    chart = told(specification)
    return {
        **chart,
        "data": {"name": "rows", "values": rows},
        "width": 720,
        "autosize": {"type": "pad"},
        "padding": 16,
        "title": {"text": heading, "offset": 14},
    }


def charts() -> dict[str, dict[str, Any]]:
    """Return every chart by its name on the page."""
    return {
        "month": month(),
        "daily": stacked(_USD, height=280),
        "change": change(),
        "unusual": unusual(),
        "people": people(),
        "tokens": stacked(_COUNT, field="count"),
        "cache": stacked(_USD, height=180),
        "premium": stacked(_USD, height=180),
    }
