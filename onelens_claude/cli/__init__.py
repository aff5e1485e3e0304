"""The command line `onelens-claude`: the same jobs as the UI, and a look at what they made.

What belongs here: one module per group of commands, their options and what they print. What does not: work.
Exit codes: 0 good, 1 the work failed, 2 wrong usage or settings, 3 a connection check failed.
"""

from __future__ import annotations

import logging
import sys

import duckdb
import typer

from onelens_claude import __version__
from onelens_claude.cli import checking, demoing, documenting, loading, reading
from onelens_claude.cli.output import stderr
from onelens_claude.errors import OnelensError, SettingsError
from onelens_claude.fake_api.cli import fake_api

app = typer.Typer(
    name="onelens-claude",
    help="Who spends what on Claude Enterprise, to the cent.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
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

    Settings are read from ONELENS_CONFIG, by default onelens.yaml in the project folder.
    """
    del version


app.command("check")(checking.check)
app.command("backfill")(loading.backfill)
app.command("daily")(loading.daily)
app.command("tidy")(loading.tidy_up)
app.command("status")(reading.status)
app.command("query")(reading.query)
app.command("demo")(demoing.demo)
app.command("dev")(demoing.dev)
app.command("docs")(documenting.docs)
app.command("fake-api")(fake_api)


def main() -> None:
    """Run the command line; every error a person can mend is one message, not a traceback."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    logging.basicConfig(handlers=[handler], format="%(message)s")
    try:
        app(prog_name="onelens-claude")
    except OnelensError as error:
        stderr.print(f"Error: {error}", style="bold red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2 if isinstance(error, SettingsError) else 1)
    except (OSError, duckdb.Error) as error:
        stderr.print_exception()
        message = f"Error: {error} (unexpected; the lines above belong into a bug report)"
        stderr.print(message, style="bold red", markup=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        stderr.print("Stopped. What is loaded stays; run the same command again to go on.")
        sys.exit(130)
