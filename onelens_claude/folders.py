"""Files and folders beside those that the settings name: shared state, links, and what belongs to a database file.

What is here: where such a file is, what it is called, and who may read it. What to add here: the name of another one.
What must not go here: files that the package brings (`paths.py`), and what is in them.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from onelens_claude.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

Beside = Literal[".lock", ".wal", ".new", ".compact", ".compact.wal", ".tmp"]
"""Endings of what is kept beside a database file; no other file may have such a name."""
_MISREAD = set("?*[%")
PRIVATE = 0o077
"""The umask of everything that writes: names, addresses and amounts are in every file."""


def beside(path: Path, ending: Beside) -> Path:
    """Return the file beside a database file that has its name and this ending."""
    return path.with_name(path.name + ending)


def state_directory() -> Path:
    """Return this user's machine-wide folder for state that all processes share; SettingsError where there is none."""
    name = f"onelens-claude-{os.getuid()}"
    try:
        folder = Path(tempfile.gettempdir()) / name
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if (
            not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid()
        ):  # put there by somebody, to lead us elsewhere
            raise SettingsError(
                f"{folder}: is a link or belongs to another user, so the rate limit's state is not kept there; remove "
                "it, or name another temporary folder in TMPDIR"
            )
        if found.st_mode & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        raise unusable_state(error.filename or name, error) from None
    return folder


@contextmanager
def private_files() -> Iterator[None]:
    """Let all files that are made inside, by the processes it starts too, be their owner's alone."""
    before = os.umask(PRIVATE)
    try:
        yield
    finally:
        os.umask(before)


def unusable_state(path: Path | str, error: OSError) -> SettingsError:
    """Return the error for shared state that cannot be kept."""
    return SettingsError(
        f"{path}: the rate limit's state cannot be kept there: {error.strerror or error}; "
        "make it writable, or name another temporary folder in TMPDIR"
    )


def plain_folder(folder: Path) -> Path:
    """Return the folder itself, or a link to it if its path has one of `?*[%`; it must be there already.

    DuckDB takes them for patterns where it reads JSON, and Dagster's SQLite for parts of a URL. Raises SettingsError
    where no link can be made.
    """
    if not _MISREAD & set(str(folder)):
        return folder
    link = state_directory() / f"{hashlib.sha256(str(folder).encode()).hexdigest()[:24]}.folder"
    try:
        if _MISREAD & set(str(link)):
            raise SettingsError(f"{link.parent}: the temporary folder's path has one of ?*[%; name another in TMPDIR")
        with suppress(FileExistsError):
            link.symlink_to(folder, target_is_directory=True)
    except OSError as error:
        raise SettingsError(f"{folder}: a folder with one of ?*[% needs a link at {link}: {error.strerror}") from None
    return link
