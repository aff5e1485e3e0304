"""A static file server for pages written by `pages.py`, so that the server is not what is measured.

Any path and any query are answered with the page its cursor (`page=`) names, the first one without; from the folder
of the window's first day, where days lie in folders of their own.

What is here: the server, as a process of its own. What to add here: another static way to answer. What must not go
here: writing the pages, and rate limits or faults, which the local API has.
"""

from __future__ import annotations

import argparse
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    folder: Path

    def do_GET(self) -> None:
        """Send one page file."""
        query = parse_qs(urlsplit(self.path).query)
        cursor = query.get("page", ["page_000001"])[0]
        of_day = self.folder / query.get("starting_at", [""])[0][:10]
        folder = of_day if of_day.is_dir() else self.folder
        body = (folder / f"{int(cursor.removeprefix('page_')):06d}.json").read_bytes()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.send_header("request-id", f"req_{cursor}")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    """Serve one folder on a free loopback port, printed on the first line; end when stdin is closed."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    _Handler.folder = parser.parse_args().folder
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    sys.stdout.write(f"http://127.0.0.1:{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
