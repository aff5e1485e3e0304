"""Ctrl-C, SIGTERM, a closed terminal: the first ends the command within two seconds, with one line and its exit code.

The signal raises KeyboardInterrupt in the main thread, which gives up what it does and leaves. A clock ends the process
where that takes too long, for instance inside a library. Nothing is lost: a process may be killed at any moment, and
the next command goes on from what is there.

What is here: the signals and the last word. What to add here: nothing that only one command needs.
What must not go here: giving up a run (`runs.py`).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from onelens_claude.cli.terminal import kept_stderr, silence_others

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

LAST_WORD = "Stopped. What is loaded stays; the same command goes on."
_SECONDS = 1.5
"""After this, what still runs is left alone."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AFTER_A_BAR = "\r\x1b[2K\x1b[?25h"
"""A bar that was cut off leaves its line half drawn and the cursor hidden."""


class Stop:
    """Whether the command was told to stop, and how it then ends."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._ending = threading.Lock()
        self._clock: threading.Timer | None = None

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Take a signal: the first interrupts the main thread, a second one ends the process."""
        if self.signal is not None:
            self.end()
        self.signal = number
        self._clock = threading.Timer(_SECONDS, self.end)
        self._clock.daemon = True
        self._clock.start()
        raise KeyboardInterrupt

    def end(self) -> None:
        """Say the last word and end the process at once, whatever its threads still do."""
        if not self._ending.acquire(blocking=False):
            return
        self._say(LAST_WORD)
        os._exit(128 + (self.signal or signal.SIGINT))

    def cancel(self) -> None:
        """Stop the clock: the command has ended by itself."""
        if self._clock:
            self._clock.cancel()

    def _say(self, words: str) -> None:
        if sys.stdout:
            sys.stdout.flush()
        with suppress(OSError, ValueError):  # no file of the system: then nobody else writes to it
            silence_others(self._stream)
        self._stream.write(f"{_AFTER_A_BAR if self._stream.isatty() else ''}{words}\n")
        self._stream.flush()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals during the block; only a main thread can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        _quieten_helpers()
        with kept_stderr() as self._stream:
            taken = [number for number in _SIGNALS if not _is_left_alone(number)]
            before = {number: signal.signal(number, self) for number in taken}
            try:
                yield
            finally:
                self.cancel()
                for number, handler in before.items():
                    signal.signal(number, handler)


def _quieten_helpers() -> None:
    """Keep multiprocessing's helper process, which outlives a command that was stopped, from warning after its end."""
    filters = (os.environ.get("PYTHONWARNINGS"), "ignore:resource_tracker")
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, filters))


def _is_left_alone(number: signal.Signals) -> bool:
    return number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN  # `nohup`
