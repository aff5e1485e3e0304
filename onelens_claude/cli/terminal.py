"""The terminal as it was when the command began.

While a step runs, Dagster points the process's stderr at a file of its own. Progress bars, waits and the last word of a
stopped command are written to a copy of the descriptor made before that.

What is here: that copy, and the form in which our loggers write. What to add here: other uses of the copy.
What must not go here: what is printed between runs (`output.py`).
"""

from __future__ import annotations

import io
import logging
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from onelens_claude.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console


@contextmanager
def kept_stderr() -> Iterator[TextIO]:
    """Yield a stream that stays where stderr is now; stderr itself where it is no file of the system."""
    try:
        descriptor = os.dup(sys.stderr.fileno())
    except (io.UnsupportedOperation, AttributeError, OSError):
        yield sys.stderr
        return
    _copies.add(descriptor)
    with open(descriptor, "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace") as kept:  # noqa: PTH123 - a descriptor
        try:
            yield kept
        finally:
            _copies.discard(descriptor)


def silence_others(stream: TextIO) -> None:
    """Let nobody but `stream` write to the terminal any more: bars and log lines of threads that still run."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in {sys.__stderr__.fileno() if sys.__stderr__ else 2, *_copies} - {stream.fileno()}:
        os.dup2(nowhere, descriptor)


_copies: set[int] = set()


@contextmanager
def kept_console() -> Iterator[Console]:
    """Yield a console on the kept stderr that also shows our warnings, above the bars where there are any."""
    from rich.console import Console

    ours = logging.getLogger("onelens_claude")
    with kept_stderr() as stream:
        console = Console(file=stream, highlight=False)
        handler = _ConsoleHandler(console)
        passed_on, ours.propagate = ours.propagate, False
        ours.addHandler(handler)
        try:
            yield console
        finally:
            ours.removeHandler(handler)
            ours.propagate = passed_on


class VisibleFormatter(logging.Formatter):
    """Writes log lines that nobody else can write: what a terminal would obey is escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record; line breaks that are ours stay."""
        return visible(super().format(record), keep="\n")


class _ConsoleHandler(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self.setFormatter(VisibleFormatter("%(message)s"))
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(self.format(record), markup=False, emoji=False, soft_wrap=True)
