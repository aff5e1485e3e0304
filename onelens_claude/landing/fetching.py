"""One pull, from the API to files: every page of every query of an endpoint over one window.

Pages go to a spool folder as they arrive, so memory does not grow with the organisation. A pull that fails half-way
leaves only spool files, which the next session sweeps.

What is here: which queries make a pull, splitting capped answers, the spool. What to add here: another query of a pull.
What must not go here: HTTP and retries (`api/client.py`), the database (`appending.py`), anything of Dagster.
"""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from filelock import FileLock, Timeout

from onelens_claude.api.endpoints import GROUP_CAP, PRODUCTS_WITHOUT_FILTER, Endpoint, Query, Shape
from onelens_claude.api.json_text import readable_json
from onelens_claude.errors import (
    CursorRefusedError,
    InvalidRequestError,
    InvalidRowError,
    NotYetAvailableError,
    WarehouseError,
)
from onelens_claude.folders import plain_folder
from onelens_claude.visible import visible

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from onelens_claude.api.client import AnalyticsClient, Page
    from onelens_claude.api.windows import Window

_log = logging.getLogger(__name__)

_LINE_BYTES = 700
"""Text in pieces of about this length compresses like whole pages; a row group of them is 86 MB of memory."""
_MOST_PIECES = 60
"""Requests that one capped answer is split into: a minute of the organisation's limit."""
_BETWEEN_ROWS = re.compile(rb'\},(?= ?\{ ?"\w)')
"""Never inside a JSON string: a quote there ends it, and no letter follows."""


@dataclass(frozen=True, slots=True)
class PullRequest:
    """What one pull is to fetch."""

    organization_id: str
    endpoint: Endpoint
    window: Window

    def __str__(self) -> str:
        return f"{self.organization_id}: {self.endpoint.name} {self.window}"


@dataclass(frozen=True, slots=True)
class SpooledPage:
    """One page on disk."""

    query: Query
    request_path: str
    request_id: str | None
    fetched_at: dt.datetime
    data_refreshed_at: dt.datetime | None
    api_organization_id: str | None
    path: Path
    """The list of rows, brackets included; what stands before and after it in the body is `head` and `tail`."""
    head: str
    tail: str
    byte_count: int
    """Of the body."""
    longest_line: int | None
    """Bytes of the file's longest line, where the list was written in lines; null where it stands as it came."""
    rows_path: Path
    """The list as it is parsed: `path`, or a copy in which each half surrogate pair is U+FFFD."""

    def body(self) -> bytes:
        """Return the response body, verbatim."""
        return (self.head + "".join(self.parts()) + self.tail).encode()

    def parts(self) -> list[str]:
        """Return the list of rows in pieces; joined, they are the text that came."""
        rows = self.path.read_bytes().decode()
        if self.longest_line is not None:
            return rows.split("\n")
        return [rows[start : start + _LINE_BYTES] for start in range(0, len(rows), _LINE_BYTES)]


@dataclass(slots=True)
class FetchedPull:
    """A pull whose last page has arrived."""

    request: PullRequest
    folder: Path
    pull_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    pages: list[SpooledPage] = field(default_factory=list)
    sha256: str = ""
    """Of the SHA-256 of each query's page bodies, in order."""

    @property
    def fetched_at(self) -> dt.datetime:
        """When the first page was asked for, in UTC."""
        return self.pages[0].fetched_at

    @property
    def data_refreshed_at(self) -> dt.datetime | None:
        """Oldest stamp among the pages: up to when all of them are complete."""
        return min((page.data_refreshed_at for page in self.pages if page.data_refreshed_at), default=None)

    @property
    def api_organization_ids(self) -> set[str]:
        """The organisations the API says these pages belong to; empty where the endpoint does not say."""
        return {page.api_organization_id for page in self.pages if page.api_organization_id}

    @property
    def byte_count(self) -> int:
        """Bytes of all page bodies."""
        return sum(page.byte_count for page in self.pages)


def fetch(client: AnalyticsClient, request: PullRequest, spool: Path, *, split_capped: bool = True) -> FetchedPull:
    """Fetch every page of `request` into its own folder under `spool`.

    A capped bucket report is asked again in smaller pieces until each is whole or cannot be split further, unless
    `split_capped` is off: a probe only wants to know whether something changed.
    Raises the client's ApiErrors and InvalidPullError; the folder is then gone. WarehouseError where the spool cannot
    be written.
    """
    pull = FetchedPull(request=request, folder=spool)
    pull.folder = spool / pull.pull_id
    digest = hashlib.sha256()
    try:
        pull.folder.mkdir()
        for query in request.endpoint.queries:
            _fetch_query(client, pull, query, digest)
        if split_capped and request.endpoint.shape is Shape.BUCKETS:
            _split_capped(client, pull, request.endpoint.queries[-1], digest)
    except OSError as error:
        shutil.rmtree(pull.folder, ignore_errors=True)
        raise _spool_error(pull.folder, error) from None
    except BaseException:
        shutil.rmtree(pull.folder, ignore_errors=True)
        raise
    pull.sha256 = digest.hexdigest()
    return pull


def _fetch_query(client: AnalyticsClient, pull: FetchedPull, query: Query, digest: hashlib._Hash) -> list[SpooledPage]:
    """Append the pages of one query to the pull; return them."""
    pages: list[SpooledPage] = []
    bodies = hashlib.sha256()
    first = len(pull.pages)

    def on_page(number: int, page: Page) -> None:
        nonlocal bodies
        if number == 1:  # also after a refused cursor: the pages so far are void
            pages.clear()
            bodies = hashlib.sha256()
        pages.append(spool_page(pull.folder / f"{first + number:06d}.json", page))
        for part in (page.head.encode(), page.rows, page.tail.encode()) if page.received is None else (page.received,):
            bodies.update(part)

    client.read_all(pull.request.endpoint, query, pull.request.window, on_page)
    digest.update(bodies.digest())
    pull.pages.extend(pages)
    return pages


def spool_page(path: Path, page: Page) -> SpooledPage:
    """Write a page's rows to `path`, in lines where that is possible.

    A line break is added only between two rows, where JSON allows it, so that the same file can be read as JSON, for
    its rows, and as lines, which joined are the body again. A body that has line breaks of its own is written as it is.
    """
    rows = page.rows
    longest_line = None
    rows_path = path
    readable = readable_json(rows)
    if readable != rows:
        rows_path = path.with_suffix(".readable.json")
        rows_path.write_bytes(readable)
    elif b"\n" not in rows and b"\r" not in rows:
        lines = _lines(rows)
        longest_line = max(map(len, lines))
        rows = b"\n".join(lines)
    path.write_bytes(rows)
    return SpooledPage(
        query=page.query,
        request_path=page.request_path,
        request_id=page.request_id,
        fetched_at=page.fetched_at,
        data_refreshed_at=page.data_refreshed_at,
        api_organization_id=page.api_organization_id,
        path=path,
        head=page.head,
        tail=page.tail,
        byte_count=len(page.head.encode()) + len(page.rows) + len(page.tail.encode()),
        longest_line=longest_line,
        rows_path=rows_path,
    )


def _lines(rows: bytes) -> list[bytes]:
    """Cut after the first row that ends past each `_LINE_BYTES`."""
    lines, start = [], 0
    while between := _BETWEEN_ROWS.search(rows, start + _LINE_BYTES):
        lines.append(rows[start : between.end()])
        start = between.end()
    return [*lines, rows[start:]]


class _Group(msgspec.Struct):
    product: str | None = None
    model: str | None = None


class _Bucket(msgspec.Struct):
    results: list[_Group]


_decode_buckets = msgspec.json.Decoder(list[_Bucket]).decode


def _split_capped(client: AnalyticsClient, pull: FetchedPull, detail: Query, digest: hashlib._Hash) -> None:
    """Ask a capped `detail` again per product, and what is still capped per product and model.

    The values to split by come from an answer by product and model, whose groups also say how much is hidden where no
    filter reaches: a product the filter refuses, a null, a piece that stays capped. Where that answer is itself capped,
    products come from one by product, and each capped product's models from one of its own. After `_MOST_PIECES` the
    rest is left to what these answers tell.
    """
    if not _is_capped(pull, [page for page in pull.pages if page.query == detail]):
        return
    by_both = Query("by_product_model", ("product", "model"))
    split = _fetch_query(client, pull, by_both, digest)
    is_whole = not _is_capped(pull, split)
    products = split if is_whole else _fetch_query(client, pull, Query("by_product", ("product",)), digest)
    asked = 0
    for product in _values(pull, products, "product"):
        if product in PRODUCTS_WITHOUT_FILTER:
            continue
        if asked >= _MOST_PIECES:
            _log.warning(
                "%s: more than %s pieces; the other products stay as far as they are listed", pull.request, asked
            )
            return
        of_product = {"products[]": product}
        asked += 1
        try:
            piece = _fetch_query(client, pull, _piece(detail, of_product), digest)
        except (NotYetAvailableError, CursorRefusedError):
            raise
        except InvalidRequestError as error:
            # The filter knows fewer products than the answers name; that product's groups stay as far as listed.
            _log.info("%s: cannot be split by product %s: %s", pull.request, visible(product), error.reason)
            continue
        if _is_capped(pull, piece):
            models = split if is_whole else _fetch_query(client, pull, _piece(by_both, of_product), digest)
            for model in _values(pull, models, "model", product)[: _MOST_PIECES - asked]:
                asked += 1
                _fetch_query(client, pull, _piece(detail, {**of_product, "models[]": model}), digest)


def _values(pull: FetchedPull, pages: list[SpooledPage], dimension: str, product: str | None = None) -> list[str]:
    """Return the values of a dimension in an answer, of all its groups or of one product's."""
    groups = (group for group in _groups(pull, pages) if product is None or group.product == product)
    return sorted({value for group in groups if (value := getattr(group, dimension)) is not None})


def _piece(query: Query, filters: dict[str, str]) -> Query:
    suffix = ",".join(f"{name}={value}" for name, value in filters.items())
    return Query(f"{query.name}:{suffix}", query.group_by, filters)


def _is_capped(pull: FetchedPull, pages: list[SpooledPage]) -> bool:
    return any(len(bucket.results) >= GROUP_CAP for bucket in _buckets(pull, pages))


def _groups(pull: FetchedPull, pages: list[SpooledPage]) -> Iterator[_Group]:
    for bucket in _buckets(pull, pages):
        yield from bucket.results


def _buckets(pull: FetchedPull, pages: list[SpooledPage]) -> Iterator[_Bucket]:
    for page in pages:
        try:
            buckets = _decode_buckets(page.rows_path.read_bytes())
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            invalid = InvalidRowError(
                f"{pull.request}: the buckets are not of the expected form: {error} (request {page.request_id})",
                request_id=page.request_id,
            )
            invalid.body = page.body()
            raise invalid from None
        yield from buckets


@contextmanager
def spool_session(folder: Path) -> Iterator[Path]:
    """Yield a fresh spool folder under `folder`, removed at the end; sweep those of sessions that were killed.

    A session's folder is there only while its lock is held, so a live one is never swept.
    """
    name = uuid.uuid4().hex
    lock = FileLock(folder / f"{name}.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        session = plain_folder(folder) / name
        for leftover in folder.iterdir():
            if leftover.is_dir():
                _sweep(leftover)
        lock.acquire()
        session.mkdir()
    except OSError as error:
        lock.release()
        raise _spool_error(folder, error) from None
    try:
        yield session
    finally:
        shutil.rmtree(session, ignore_errors=True)
        lock.release()
        Path(lock.lock_file).unlink(missing_ok=True)


def _sweep(session: Path) -> None:
    """Remove a session's folder unless its process still holds the lock."""
    lock_path = session.with_name(f"{session.name}.lock")
    try:
        with FileLock(lock_path, blocking=False):
            shutil.rmtree(session, ignore_errors=True)
    except Timeout:
        return
    lock_path.unlink(missing_ok=True)


def _spool_error(folder: Path, error: OSError) -> WarehouseError:
    return WarehouseError(f"{folder}: pages cannot be kept there until they are loaded: {error.strerror or error}")
