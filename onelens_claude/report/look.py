"""The colours and type of the page, its charts and the pictures: the one place where a colour is named.

What is here: both themes, and which colour a product, a model and a kind of token has wherever it is drawn.
What to add here: the colour of a new product. What must not go here: where a thing stands on the page (`static/`).
"""

from __future__ import annotations

from typing import Any

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", "DejaVu Sans", sans-serif'

THEMES = {
    "light": {
        "page": "#f5f6f8",
        "panel": "#ffffff",
        "ink": "#1b222c",
        "muted": "#59636f",
        "line": "#dfe3e8",
        "accent": "#1f5fae",
        "quiet": "#a9b3bf",
        "good": "#1f7a4d",
        "warn": "#95600a",
        "bad": "#b3372f",
        "band": "#d5e1f1",
    },
    "dark": {
        "page": "#10141a",
        "panel": "#181e26",
        "ink": "#e8ecf1",
        "muted": "#a2adba",
        "line": "#2c3541",
        "accent": "#7fb0ee",
        "quiet": "#5d6978",
        "good": "#63c48f",
        "warn": "#e0ad52",
        "bad": "#f0857c",
        "band": "#27384f",
    },
}
"""By the name of the CSS variable."""

_HUES = {
    "light": [
        "#2f6db3", "#d07a3c", "#2f9184", "#7d62b0", "#c4a02e", "#b9506f", "#5c8f3a", "#3f9fc4", "#8a6a52", "#6b7a99",
    ],
    "dark": [
        "#6ea6e6", "#e99b63", "#5bbcae", "#a98fdb", "#dcbf5e", "#dd7f9b", "#8fbf6b", "#74c3e2", "#b9977d", "#97a6c4",
    ],
}  # fmt: skip
_PRODUCTS = (
    "claude_code", "chat", "cowork", "office_agent", "claude_in_chrome", "cc_security_autopatch", "claude-tag",
    "claude_design", "science", "other",
)  # fmt: skip
_NAMES = {
    "claude_code": "Claude Code",
    "chat": "Chat",
    "cowork": "Cowork",
    "office_agent": "Office agent",
    "claude_in_chrome": "Claude in Chrome",
    "cc_security_autopatch": "Security autopatch",
    "claude-tag": "Claude tag",
    "claude_design": "Claude Design",
    "science": "Science",
    "other": "Other",
}


def product_name(product: str) -> str:
    """Return what people call a product; one that is new is called as the API calls it."""
    return _NAMES.get(product, product)


def colours(products: list[str], models: list[str]) -> dict[str, Any]:
    """Return, per theme, the colours of products and models by their position, and of everything else by its place."""
    known = {product: number for number, product in enumerate(_PRODUCTS)}
    unknown = sorted(set(products) - known.keys())
    numbers = {**known, **{product: len(known) + number for number, product in enumerate(unknown)}}
    return {
        theme: {
            "product": [_quiet(theme, product) or hues[numbers[product] % len(hues)] for product in products],
            "model": [_quiet(theme, model) or hues[(number + 2) % len(hues)] for number, model in enumerate(models)],
            "series": hues,
        }
        for theme, hues in _HUES.items()
    }


def _quiet(theme: str, name: str) -> str | None:
    return THEMES[theme]["quiet"] if name.startswith("(") else None
