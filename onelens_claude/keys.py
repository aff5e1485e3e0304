"""Where an organisation's API key is read from: a variable, a file, or a program that prints it.

No message shows a key, what a program printed, or its arguments.

What is here: reading a key now, and what is wrong with the place it is kept in. What to add here: another such place.
What must not go here: which of two keys is tried first (`api/client.py`), and the form of the settings (`settings/`).
"""

from __future__ import annotations

import hashlib
import os
import re
import selectors
import shutil
import signal
import stat
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from onelens_claude.errors import UnreadableKeyError
from onelens_claude.waiting import waiting

_MOST_BYTES = 16 * 1024
"""A key has about a hundred; a file or a program without an end is none."""
_COMMAND_SECONDS = 30.0
_TOLD_AFTER = 5.0
_KEPT_SECONDS = 300
"""So long a printed key is used before its program is run again: there may be sixty requests a minute."""


@dataclass(frozen=True, slots=True)
class KeySource:
    """One setting that says where a key is."""

    setting: str
    """Its full name, such as `organizations.acme.api_key_file`."""
    env: str | None = None
    file: str | None = None
    command: tuple[str, ...] = ()

    def read(self) -> str:
        """Return the key as it is now. Raises UnreadableKeyError, which shows no part of it."""
        if self.env:
            place, content = f"environment variable {self.env}", os.environ.get(self.env, "")
        elif self.file:
            place, content = f"file {self.file}", self._of_file(self.file)
        else:
            place, content = "what its program prints", self._of_command()
        key = content.strip()
        if not key:
            raise UnreadableKeyError(f"{self.setting}: {place} is {'not set or ' if self.env else ''}empty")
        if not re.fullmatch(r"[\x21-\x7e]+", key):
            raise UnreadableKeyError(
                f"{self.setting}: {place} contains characters that no key has (spaces, line breaks or non-ASCII)"
            )
        return key

    def check(self) -> None:
        """Raise UnreadableKeyError unless the key can be read; of a program, only whether it is there."""
        if not self.command:
            self.read()
        elif shutil.which(self.command[0]) is None:
            raise UnreadableKeyError(f"{self.setting}: its program is not there, or cannot be executed")

    def warning(self) -> str | None:
        """Return what is wrong with who else can read the key; null where nothing is known to be."""
        if not self.file:
            return None
        with suppress(OSError):
            mode = stat.S_IMODE(Path(self.file).stat().st_mode)
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                return (
                    f"{self.setting}: file {self.file} is open to other users of this machine (mode {mode:04o}); "
                    "run `chmod 600` on it"
                )
        return None

    def _of_file(self, path: str) -> str:
        try:
            if not stat.S_ISREG(Path(path).stat().st_mode):  # a pipe may never say anything
                raise UnreadableKeyError(f"{self.setting}: file {path} is no regular file")
            with Path(path).open("rb") as file:
                content = file.read(_MOST_BYTES + 1)
            if len(content) > _MOST_BYTES:
                raise UnreadableKeyError(f"{self.setting}: file {path} is too large to be a key")
            return content.decode()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not readable as text"
            raise UnreadableKeyError(f"{self.setting}: file {path}: {reason}") from None

    def _of_command(self) -> str:
        what = f"{self.setting}: waiting for its program to print the key"
        try:
            with waiting(what, limit=_COMMAND_SECONDS, after=_TOLD_AFTER, topic=self.setting):
                return _printed(self.command, int(time.monotonic() // _KEPT_SECONDS))
        except _CommandError as error:
            raise UnreadableKeyError(f"{self.setting}: its program {error}") from None
        except OSError as error:
            raise UnreadableKeyError(f"{self.setting}: its program cannot be run: {error.strerror}") from None


def digest(key: str) -> str:
    """Return the SHA-256 of a key, by which it is known without being known."""
    return hashlib.sha256(key.encode()).hexdigest()


class _CommandError(Exception):
    """A program printed no key; the message says why, without its words, which may hold one."""


@lru_cache(maxsize=64)
def _printed(command: tuple[str, ...], period: int) -> str:  # noqa: ARG001 - a new period runs it again
    """Run a program, without a shell, and return what it prints."""
    deadline = time.monotonic() + _COMMAND_SECONDS
    process = subprocess.Popen(  # noqa: S603 - the settings are the operator's own
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        output = _read_to_end(process, deadline)
        code = process.wait(max(0.0, deadline - time.monotonic()))
    except (subprocess.TimeoutExpired, TimeoutError):
        raise _CommandError(f"did not end within {_COMMAND_SECONDS:.0f} seconds; it was ended") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # and whatever it started
            process.wait()
        if process.stdout:
            process.stdout.close()
    if code:
        how = f"exit code {code}" if code > 0 else f"signal {-code}"
        raise _CommandError(f"ended with {how}; what it printed is not shown here, run it yourself to see why")
    try:
        return output.decode()
    except UnicodeDecodeError:
        raise _CommandError("printed something that is not text") from None


def _read_to_end(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    """Return what a program prints until it closes its output, which a process it left behind may never do."""
    output = bytearray()
    with selectors.DefaultSelector() as ready:
        if process.stdout is None:
            return b""
        ready.register(process.stdout, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0 and ready.select(left):
            chunk = os.read(process.stdout.fileno(), _MOST_BYTES)
            output += chunk
            if not chunk:
                return bytes(output)
            if len(output) > _MOST_BYTES:
                raise _CommandError("printed more than a key has; it was ended")
    raise TimeoutError
