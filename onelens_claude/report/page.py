"""The page as one HTML file that needs nothing else: no server, no account, no request.

Data and the chart library are in it, compressed. Its scripts are the two that its own policy names by their hashes, so
that nothing which comes from elsewhere can run.

What is here: how the parts become one file. What to add here: a part that every page has.
What must not go here: figures (`data.py`), markup, style and behaviour (`static/`).
"""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import html
import json
import os
import re
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vl_convert

from onelens_claude.clock import utc_now
from onelens_claude.errors import OnelensError, SettingsError
from onelens_claude.report.charts import charts, config
from onelens_claude.report.data import read_report
from onelens_claude.report.look import FONT, THEMES
from onelens_claude.warehouse.files import open_serving_copy

if TYPE_CHECKING:
    from onelens_claude.report.data import Report
    from onelens_claude.settings import Settings

_SCRIPTS = ("figures.js", "panels.js", "page.js")
_PICTURES = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".svg": "image/svg+xml",
    ".webp": "image/webp",
}  # fmt: skip
_LARGEST_LOGO = 300_000
"""Bytes: the page is mailed."""


class ReportError(OnelensError):
    """The page cannot be written."""

    error_type = "report_error"


def default_path(settings: Settings) -> Path:
    """Return where the page is unless somebody says otherwise: beside the warehouse."""
    return settings.warehouse_path.parent / "site" / "report.html"


def write_page(
    settings: Settings, out: Path | None = None, *, organization_id: str | None = None, is_redacted: bool = False
) -> Path:
    """Read the serving copy and replace the page as a whole; return where it is.

    Raises SettingsError for an unknown organisation or a logo that cannot be read, WarehouseError where there is
    nothing to read, ReportError where the file cannot be written.
    """
    with open_serving_copy(settings.serving_path) as connection:
        report = read_report(
            connection, settings, now=utc_now(), organization_id=organization_id, is_redacted=is_redacted
        )
    path = out or default_path(settings)
    replace_file(path, render(report, logo(settings)).encode())
    return path


def replace_file(path: Path, content: bytes) -> None:
    """Put a file in its place in one step, so that a reader sees the old one or the new one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            new = Path(file.name)
            try:
                file.write(content)
                file.flush()
                new.chmod(0o644 & ~_umask())
                new.replace(path)
            except BaseException:
                new.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise ReportError(
            f"{path}: cannot be written: {error.strerror or error}; make room or choose another place with --out"
        ) from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def logo(settings: Settings) -> str:
    """Return the picture of the settings as a data address, or nothing; a SettingsError says what is wrong with it."""
    path = settings.logo_path
    if path is None:
        return ""
    where = f"{settings.source}: report.logo: {path}"
    kind = _PICTURES.get(path.suffix.lower())
    if kind is None:
        raise SettingsError(f"{where}: is no picture that a page shows; use one of {', '.join(sorted(_PICTURES))}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{where}: cannot be read: {error.strerror or error}") from None
    if len(content) > _LARGEST_LOGO:
        raise SettingsError(f"{where}: has {len(content):,} bytes; a page that is mailed takes {_LARGEST_LOGO:,}")
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def render(report: Report, logo_address: str = "") -> str:
    """Return the whole page."""
    content = {
        "about": report.about,
        "spend": report.spend,
        "tables": report.tables,
        "charts": charts(),
        "configs": {theme: config(theme) for theme in THEMES},
        "themes": THEMES,
    }
    # a scope of its own: the library's short names are global
    script = f"(() => {{\n{chr(10).join(_static(name) for name in _SCRIPTS)}\n}})();"
    library, packed_library = _library()
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src {_hash(script)} {_hash(library)}",
            "style-src 'unsafe-inline'",  # Vega's tooltips place themselves by style
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    parts = {
        "policy": html.escape(policy, quote=True),
        "title": html.escape(report.about["title"]),
        "style": _style(),
        "logo": f'<img class="logo" src="{logo_address}" alt="">' if logo_address else "",
        "data": _packed(json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)),
        "library": packed_library,
        "script": script,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _static("page.html"))


def _style() -> str:
    def variables(theme: str) -> str:
        return "".join(f"--{name}:{value};" for name, value in THEMES[theme].items())

    dark = f"{variables('dark')}color-scheme:dark;"
    return (
        f":root{{--font:{FONT};color-scheme:light;{variables('light')}}}\n"
        f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}\n"
        f":root[data-theme=dark]{{{dark}}}\n"
        f"@media print{{:root:root{{color-scheme:light;{variables('light')}}}}}\n"
        f"{_static('page.css')}"
    )


@functools.cache
def _library() -> tuple[str, str]:
    """Return Vega with its expression interpreter, as it is and packed; making the bundle takes seconds."""
    text = vl_convert.javascript_bundle(None)  # type: ignore[arg-type] # its stub forgets the default
    return text, _packed(text)


def _packed(text: str) -> str:
    """Return a text compressed and in letters that HTML leaves alone."""
    return base64.b64encode(gzip.compress(text.encode("utf-8", "backslashreplace"), 9, mtime=0)).decode()


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


@functools.cache
def _static(name: str) -> str:
    return files(__package__).joinpath("static", name).read_text(encoding="utf-8")


def unpacked(page: str, part: str = "data") -> Any:
    """Return what a page carries: its data as JSON, for tests and for people who want to know what is in it."""
    found = re.search(rf'<script type="application/octet-stream" id="{part}">([^<]*)</script>', page)
    text = gzip.decompress(base64.b64decode(found[1])).decode() if found else ""
    return json.loads(text) if part == "data" else text
