"""`report`: the page that people look at, as a file, as CSV files, or over http on this machine.

What is here: the options, and the small server. What to add here: another form in which the page leaves.
What must not go here: what is on the page (`report`).
"""

from __future__ import annotations

import webbrowser
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated, Any

import typer

from onelens_claude.cli.options import ORG_OPTION
from onelens_claude.cli.output import note, stdout
from onelens_claude.report.page import write_page
from onelens_claude.report.pictures import write_pictures
from onelens_claude.report.sheets import write_sheets
from onelens_claude.settings import load_settings

_HOSTS = {"127.0.0.1", "localhost"}


def report(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where the page goes; default: beside the warehouse.")
    ] = None,
    org: str | None = ORG_OPTION,
    redact: Annotated[bool, typer.Option("--redact", help="Leave out every address and name of a person.")] = False,
    open_it: Annotated[bool, typer.Option("--open", help="Open the page in the browser of this machine.")] = False,
    serve: Annotated[
        bool, typer.Option("--serve", help="Serve the page on this machine until interrupted; links open it by http.")
    ] = False,
    pictures: Annotated[
        Path | None, typer.Option("--pictures", metavar="DIR", help="Draw the main charts as PNG and SVG files, too.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="DIR", help="Write the tables as CSV files, too, with every digit.")
    ] = None,
) -> None:
    """Write the page of spend and adoption: one HTML file that needs no server.

    It is read from the serving copy; every run that builds the marts writes it anew, for all organisations.
    """
    settings = load_settings(needs_keys=False)
    page = write_page(settings, out, organization_id=org, is_redacted=redact)
    stdout.print(str(page), soft_wrap=True)
    if csv is not None:
        for path in write_sheets(settings, csv, organization_id=org, is_redacted=redact):
            stdout.print(str(path), soft_wrap=True)
    if pictures is not None:
        for path in write_pictures(settings, pictures, organization_id=org):
            stdout.print(str(path), soft_wrap=True)
    if serve:
        _serve(page, open_it=open_it)
    elif open_it:
        webbrowser.open(page.absolute().as_uri())


def _serve(page: Path, *, open_it: bool) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Page, page)) as server:
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        note(f"Serving {page} at {address} (stop with Ctrl-C).")
        if open_it:
            webbrowser.open(address)
        server.serve_forever(poll_interval=0.2)


class _Page(BaseHTTPRequestHandler):
    """Answers with the page as it is now, to this machine's browsers only."""

    timeout = 30  # seconds for a request to arrive

    def __init__(self, page: Path, *connection: Any) -> None:
        self._page = page
        super().__init__(*connection)

    def do_GET(self) -> None:
        """Send the page; a page of another site that guesses the port has another Host."""
        if (self.headers.get("Host") or "").rsplit(":", 1)[0] not in _HOSTS:
            self.send_error(403)
        elif self.path.split("?")[0] not in {"/", "/report.html"}:
            self.send_error(404)
        else:
            content = self._page.read_bytes()
            self.send_response(200)
            for name, value in {
                "Content-Type": "text/html; charset=utf-8",
                "Content-Length": str(len(content)),
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
                "Content-Security-Policy": "frame-ancestors 'none'",  # what a page itself cannot say
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing: what was asked for is the one page."""
