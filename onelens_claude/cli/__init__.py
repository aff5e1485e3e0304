"""The command line `onelens-claude`: the same jobs as the UI, and a look at what they made.

What is here: the list of commands, and how an error becomes a message and an exit code. What to add here: a command's
name, place and summary; the command itself goes into a module of this room. What must not go here: work, and imports
of what only one command needs, because `--help` would wait for them.
Exit codes: 0 good, 1 the work failed, 2 wrong usage or settings, 3 a connection check failed, 4 a gate of `--fail-on`
is breached, 130 stopped by Ctrl-C, 143 by SIGTERM.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
import textwrap
import traceback
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from onelens_claude import __version__
from onelens_claude.errors import OnelensError, SettingsError


class _Place(NamedTuple):
    """Where a command is, and the first sentence of its help."""

    module: str
    function: str
    summary: str
    group: str = ""
    """Name in the module of the commands below it, where it has some; the function is then what they share."""


COMMANDS = {
    "check": _Place(
        "cli.checking", "check", "Try the connection: three calls per organisation, each with its verdict."
    ),
    "backfill": _Place(
        "cli.loading", "backfill", "Pull every endpoint over a range of days, then build the marts, check and publish."
    ),
    "daily": _Place(
        "cli.loading",
        "daily",
        "Do what the schedule does: pull new, missing and changed days, build the marts, check and publish.",
    ),
    "tidy": _Place(
        "cli.loading",
        "tidy_up",
        "Delete days beyond `retention.months` and superseded pulls that changed nothing; give their space back.",
    ),
    "forget": _Place(
        "cli.forgetting",
        "forget",
        "Erase a person everywhere (`--user`, in one organisation with `--org`), or all of an organisation (`--org`).",
    ),
    "status": _Place(
        "cli.reading",
        "status",
        "Show per organisation up to which day it is complete, when it was pulled last, and what is wrong.",
    ),
    "alerts": _Place(
        "cli.alerting", "alerts", "Try the channels of the settings, or show what they were told.", group="app"
    ),
    "watch": _Place(
        "cli.watching", "watch", "Look at what the running day has cost so far, and tell whose agent runs away."
    ),
    "chargeback": _Place(
        "cli.charging",
        "chargeback",
        "Show what each team pays of a month; the sum is the organisation's cost to the last digit.",
    ),
    "report": _Place(
        "cli.reporting", "report", "Write the page of spend and adoption: one HTML file that needs no server."
    ),
    "backtest": _Place(
        "cli.backtesting",
        "backtest",
        "Measure how often the anomaly detector and the forecast are right, and simpler methods.",
    ),
    "backup": _Place(
        "cli.backing_up", "backup", "Write a consistent copy of the warehouse to a file, also while runs go on."
    ),
    "query": _Place("cli.querying", "query", "Run one read-only SQL statement on the serving copy."),
    "demo": _Place(
        "cli.demoing",
        "demo",
        "Load 63 days of two made-up organisations from the local API server and show the result.",
    ),
    "dev": _Place(
        "cli.demoing",
        "dev",
        "Open the Dagster UI (webserver and daemon) over your settings, or over the demo's if you have none.",
    ),
    "docs": _Place("cli.documenting", "docs", "Write the catalogue of every table and column as one HTML file."),
    "fake-api": _Place(
        "fake_api.cli",
        "fake_api",
        "Serve the local API until interrupted; prints its address on stdout when it is ready.",
    ),
}


_SUMMARY_WIDTH = 76


class _LazyGroup(TyperGroup):
    """Imports a command when it is run or asked for its own help."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """Return the command, imported now; null where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        place = COMMANDS[cmd_name]
        module = import_module(f"onelens_claude.{place.module}")
        if place.group:
            return typer.main.get_group(getattr(module, place.group))
        alone = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings=_CONTEXT)
        alone.command(cmd_name)(getattr(module, place.function))
        return typer.main.get_command(alone)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:  # noqa: ARG002
        """Offer commands, importing none of them, and options; zsh shows a summary beside each, on one line."""
        commands: dict[str, Any] = {
            name: TyperCommand(name, short_help=textwrap.shorten(place.summary, _SUMMARY_WIDTH, placeholder=" ..."))
            for name, place in COMMANDS.items()
        }
        listed = TyperGroup(name=self.name, commands=commands, params=self.params)
        return listed.shell_complete(typer.Context(listed), incomplete)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """List the commands with whole summaries, importing none of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.summary) for name, place in COMMANDS.items()])


_CONTEXT = {"help_option_names": ["-h", "--help"]}
app = typer.Typer(
    cls=_LazyGroup,
    name="onelens-claude",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=_CONTEXT,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"onelens-claude {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Who spends what on Claude Enterprise, to the cent.

    Settings are read from the file that ONELENS_CONFIG names; without it, from onelens.yaml in the current folder.

    Exit codes: 0 good, 1 the work failed, 2 wrong usage or settings, 3 a connection check failed,
    4 a gate of --fail-on is breached, 130 Ctrl-C.
    """
    del version


_ADVICE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "make room"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "make it accessible"),
    errno.EMFILE: "allow more open files (ulimit -n)",
}
"""What to do about what the machine refuses, whichever part of a command met it."""


def main() -> None:
    """Run the command line; every error a person can fix is one message, not a traceback."""
    from onelens_claude.cli.stopping import Stop
    from onelens_claude.cli.terminal import VisibleFormatter
    from onelens_claude.folders import private_files

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a character the terminal cannot show is no error
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(VisibleFormatter("%(message)s"))
    logging.basicConfig(handlers=[handler])
    stop = Stop()
    with private_files(), stop.listening():
        try:
            try:
                app(prog_name="onelens-claude")
            finally:
                _flush()
        except BaseException as error:
            if stop.signal and getattr(error, "code", 1):  # an interrupted library may raise anything
                stop.end()
            if isinstance(error, OnelensError):
                _print_error(f"Error: {error}")
                sys.exit(2 if isinstance(error, SettingsError) else 1)
            if not isinstance(error, Exception):
                raise
            if isinstance(error, OSError) and (advice := _ADVICE.get(error.errno or 0)):
                _print_error(f"Error: {error.filename or 'output'}: {error.strerror}; {advice} and run it again")
                sys.exit(1)
            _print_error(traceback.format_exc(), style=None)
            _print_error(f"Error: {error} (unexpected; please include the traceback above in a bug report)")
            sys.exit(1)


def _flush() -> None:
    """Write what stdout still holds: a full disk or a reader that has gone shows now, not at the interpreter's end."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what cannot be written is not tried again
        if error.errno != errno.EPIPE:
            raise
        sys.exit(1)


def _print_error(message: str, style: str | None = "bold red") -> None:
    from onelens_claude.cli.output import note

    note(message, style=style)
