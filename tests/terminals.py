"""A real terminal of a given width, for what the command line shows there.

What belongs here: how a test looks at a screen. What does not: what should be on it.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from typing import TYPE_CHECKING

from tests.worlds import COMMAND

if TYPE_CHECKING:
    from collections.abc import Mapping

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def on_a_terminal(variables: Mapping[str, str], *arguments: str, columns: int = 80, typed: str = "") -> tuple[int, str]:
    """Run the installed command with a terminal for its input, output and errors; return exit code and the screen.

    What is `typed` waits there until the command asks.

    Colours are left out of the text, other escapes are not.
    """
    screen, command_end = pty.openpty()
    fcntl.ioctl(command_end, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key not in {"COLUMNS", "NO_COLOR"}}
    process = subprocess.Popen(
        [str(COMMAND), *arguments],
        env={**environment, "TERM": "xterm-256color", **variables},
        stdin=command_end,
        stdout=command_end,
        stderr=command_end,
    )
    os.close(command_end)
    os.write(screen, typed.encode())
    shown = b""
    try:
        while chunk := os.read(screen, 65536):
            shown += chunk
    except OSError:  # the last process that had the terminal open has ended
        pass
    finally:
        os.close(screen)
    return process.wait(timeout=60), _COLOURS.sub("", shown.decode()).replace("\r\n", "\n")
